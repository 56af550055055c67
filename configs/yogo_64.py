"""YOGO of the paper with 64 filters (Table 2).

yogo train --config configs/yogo_64.py --workdir runs/yogo_64

The paper's recipe: 70 epochs of the 64,612 Vimeo90K septuplets in batches of ten (452,270 steps), whole
low-resolution frames of 112×64, AdaMax at 1e-4, a tenth of it from epochs 30 and 60 on. The paper trains on four
V100 and gives no hours, and it was not trained here. A batch of ten divides among 1, 2, 5 or 10 devices;
elsewhere set data.batch, and train.steps and optim.boundaries by the examples seen.

PSNR / SSIM in the paper: Vid4 26.34 dB / 0.8022;
Vimeo90K fast 36.93 / 0.9416, medium 35.55 / 0.9365, slow 33.44 / 0.9150.
"""

from yogo_jax.configuration import base


def get_config():
    config = base()
    config.model.filters = 64
    return config
