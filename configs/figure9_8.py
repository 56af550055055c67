"""Figure 9: 8 hybrid fusion blocks.

yogo train --config configs/figure9_8.py --workdir runs/figure9_8

Recipe, hardware and time: configs/ablation.py. The paper shows pictures and gives no score.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.hfbs = 8
    return config
