"""Table 4: 4 fusion residual blocks in RC-BI, 6 in RC-FI.

yogo train --config configs/table4_4_6.py --workdir runs/table4_4_6

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
36.18 / 34.96 / 33.02 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 4
    config.model.frb_forward = 6
    return config
