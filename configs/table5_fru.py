"""Table 5: the FRU alone, on states that are not aligned."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.cell_order = "fru"
    return config
