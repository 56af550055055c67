"""Table 4: 10 fusion residual blocks in RC-BI, 0 in RC-FI."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 10
    config.model.frb_forward = 0
    return config
