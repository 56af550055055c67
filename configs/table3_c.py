"""Table 3 (c): both cells, the forward one without the backward states; hybrid fusion."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.interaction = "none"
    return config
