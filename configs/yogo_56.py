"""YOGO of the paper with 56 filters (Table 2).

yogo train --config configs/yogo_56.py --workdir runs/yogo_56

The paper's recipe: 70 epochs of the 64,612 Vimeo90K septuplets in batches of ten (452,270 steps), whole
low-resolution frames of 112×64, AdaMax at 1e-4, a tenth of it from epochs 30 and 60 on. The paper trains on four
V100 and gives no hours, and it was not trained here. A batch of ten divides among 1, 2, 5 or 10 devices;
elsewhere set data.batch, and train.steps and optim.boundaries by the examples seen.

PSNR / SSIM in the paper: Vid4 26.28 dB / 0.7996;
Vimeo90K fast 36.76 / 0.9397, medium 35.32 / 0.9349, slow 33.33 / 0.9134.
"""

from yogo_jax.configuration import base


def get_config():
    config = base()
    config.model.filters = 56
    return config
