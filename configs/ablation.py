"""The recipe of the paper's ablations (Section 4.3), with the complete network: Table 3 (e), 4+6, DFU+FRU.

32×32 low-resolution patches in all eight orientations, 50 epochs of Vimeo90K: 323,050 steps of ten.

yogo train --config configs/ablation.py --workdir runs/ablation

The rate falls to a tenth at epoch 30. The paper trains on four V100 and gives no hours, and it was not trained here.
A batch of ten divides among 1, 2, 5 or 10 devices; elsewhere set data.batch, and train.steps by the examples seen.
PSNR in the paper, Vimeo90K fast / medium / slow: 36.18 / 34.96 / 33.02 dB.
"""

from yogo_jax.configuration import base


def get_config():
    config = base()
    config.data.patch = (32, 32)
    config.train.steps = 323_050
    return config
