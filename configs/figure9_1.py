"""Figure 9: 1 hybrid fusion block."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.hfbs = 1
    return config
