"""Table 4: 4 fusion residual blocks in RC-BI, 6 in RC-FI."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 4
    config.model.frb_forward = 6
    return config
