"""Table 5: the DFU alone; aligned branches are merged without FRBs.

yogo train --config configs/table5_dfu.py --workdir runs/table5_dfu

Recipe, hardware and time: configs/ablation.py. PSNR in the paper, Vimeo90K fast / medium / slow:
35.88 / 34.62 / 32.77 dB.
"""

from configs.ablation import get_config as ablation


def get_config():
    config = ablation()
    config.model.cell_order = "dfu"
    return config
