"""Table 5: the DFU alone; aligned branches are merged without FRBs."""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.cell_order = "dfu"
    return config
