"""Figure 9: 6 hybrid fusion blocks.

yogo train --config configs/figure9_6.py --workdir runs/figure9_6

Recipe, hardware and time: configs/ablation.py. The paper shows pictures and gives no score.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.hfbs = 6
    return config
