"""Figure 9: 7 hybrid fusion blocks.

yogo train --config configs/figure9_7.py --workdir runs/figure9_7

Recipe, hardware and time: configs/ablation.py. The paper shows pictures and gives no score.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.hfbs = 7
    return config
