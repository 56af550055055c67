"""Figure 9: 4 hybrid fusion blocks."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.hfbs = 4
    return config
