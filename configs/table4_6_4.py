"""Table 4: 6 fusion residual blocks in RC-BI, 4 in RC-FI.

yogo train --config configs/table4_6_4.py --workdir runs/table4_6_4

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
36.12 / 34.88 / 32.96 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 6
    config.model.frb_forward = 4
    return config
