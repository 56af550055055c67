"""Table 3 (e): the complete network.

yogo train --config configs/table3_e.py --workdir runs/table3_e

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
36.18 / 34.96 / 33.02 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.interaction = "full"
    config.model.fusion = "hybrid"
    return config
