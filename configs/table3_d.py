"""Table 3 (d): full interaction, direct fusion."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.fusion = "direct"
    return config
