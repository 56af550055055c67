"""Table 3 (d): full interaction, direct fusion.

yogo train --config configs/table3_d.py --workdir runs/table3_d

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
36.08 / 34.86 / 32.93 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.fusion = "direct"
    return config
