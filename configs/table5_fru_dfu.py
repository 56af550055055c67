"""Table 5: the FRU first, then the DFU.

yogo train --config configs/table5_fru_dfu.py --workdir runs/table5_fru_dfu

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
36.14 / 34.89 / 32.98 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.cell_order = "fru_dfu"
    return config
