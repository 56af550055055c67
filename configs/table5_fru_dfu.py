"""Table 5: the FRU first, then the DFU."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.cell_order = "fru_dfu"
    return config
