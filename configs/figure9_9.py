"""Figure 9: 9 hybrid fusion blocks.

yogo train --config configs/figure9_9.py --workdir runs/figure9_9

Recipe, hardware and time: configs/ablation.py. The paper shows pictures and gives no score but Table 3 (e)'s.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.hfbs = 9
    return config
