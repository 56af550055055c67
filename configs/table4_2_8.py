"""Table 4: 2 fusion residual blocks in RC-BI, 8 in RC-FI.

yogo train --config configs/table4_2_8.py --workdir runs/table4_2_8

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
36.13 / 34.90 / 32.98 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 2
    config.model.frb_forward = 8
    return config
