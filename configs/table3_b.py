"""Table 3 (b): both cells, the forward one without the backward states; direct fusion.

yogo train --config configs/table3_b.py --workdir runs/table3_b

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
35.51 / 34.36 / 32.56 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.interaction = "none"
    config.model.fusion = "direct"
    return config
