"""Figure 9: 5 hybrid fusion blocks.

yogo train --config configs/figure9_5.py --workdir runs/figure9_5

Recipe, hardware and time: configs/ablation.py. The paper shows pictures and gives no score.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.hfbs = 5
    return config
