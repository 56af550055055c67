"""Table 5: the DFU first, then the FRU: the paper's order."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.cell_order = "dfu_fru"
    return config
