"""Figure 9: 1 hybrid fusion block.

yogo train --config configs/figure9_1.py --workdir runs/figure9_1

Recipe, hardware and time: configs/ablation.py. The paper shows pictures and gives no score.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.hfbs = 1
    return config
