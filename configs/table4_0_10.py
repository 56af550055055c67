"""Table 4: 0 fusion residual blocks in RC-BI, 10 in RC-FI.

yogo train --config configs/table4_0_10.py --workdir runs/table4_0_10

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
36.10 / 34.86 / 32.94 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 0
    config.model.frb_forward = 10
    return config
