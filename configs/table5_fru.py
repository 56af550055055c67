"""Table 5: the FRU alone, on states that are not aligned.

yogo train --config configs/table5_fru.py --workdir runs/table5_fru

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
35.68 / 34.63 / 32.79 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.cell_order = "fru"
    return config
