"""Table 3 (e): the complete network."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.interaction = "full"
    config.model.fusion = "hybrid"
    return config
