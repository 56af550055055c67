"""Table 4: 2 fusion residual blocks in RC-BI, 8 in RC-FI."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 2
    config.model.frb_forward = 8
    return config
