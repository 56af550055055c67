"""Table 3 (a): the backward cell alone, direct fusion."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.interaction = "backward_only"
    config.model.fusion = "direct"
    return config
