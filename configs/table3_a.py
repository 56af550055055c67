"""Table 3 (a): the backward cell alone, direct fusion.

yogo train --config configs/table3_a.py --workdir runs/table3_a

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
35.36 / 34.21 / 32.42 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.interaction = "backward_only"
    config.model.fusion = "direct"
    return config
