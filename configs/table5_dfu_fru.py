"""Table 5: the DFU first, then the FRU: the paper's order.

yogo train --config configs/table5_dfu_fru.py --workdir runs/table5_dfu_fru

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
36.18 / 34.96 / 33.02 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.cell_order = "dfu_fru"
    return config
