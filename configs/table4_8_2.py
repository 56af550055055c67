"""Table 4: 8 fusion residual blocks in RC-BI, 2 in RC-FI.

yogo train --config configs/table4_8_2.py --workdir runs/table4_8_2

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
36.04 / 34.82 / 32.92 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 8
    config.model.frb_forward = 2
    return config
