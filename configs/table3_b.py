"""Table 3 (b): both cells, the forward one without the backward states; direct fusion."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.interaction = "none"
    config.model.fusion = "direct"
    return config
