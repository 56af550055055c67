"""Table 4: 10 fusion residual blocks in RC-BI, 0 in RC-FI.

yogo train --config configs/table4_10_0.py --workdir runs/table4_10_0

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
36.00 / 34.79 / 32.88 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 10
    config.model.frb_forward = 0
    return config
