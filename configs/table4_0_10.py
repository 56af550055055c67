"""Table 4: 0 fusion residual blocks in RC-BI, 10 in RC-FI."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 0
    config.model.frb_forward = 10
    return config
