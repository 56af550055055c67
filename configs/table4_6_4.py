"""Table 4: 6 fusion residual blocks in RC-BI, 4 in RC-FI."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.frb_backward = 6
    config.model.frb_forward = 4
    return config
