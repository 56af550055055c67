"""Table 4: 8 fusion residual blocks in RC-BI, 2 in RC-FI."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 8
    config.model.frb_forward = 2
    return config
