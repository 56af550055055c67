"""Table 3 (c): both cells, the forward one without the backward states; hybrid fusion.

yogo train --config configs/table3_c.py --workdir runs/table3_c

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
35.71 / 34.58 / 32.74 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.interaction = "none"
    return config
