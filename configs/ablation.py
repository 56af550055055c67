"""The recipe of the paper's ablations (Section 4.3), with the complete network: Table 3 (e), 4+6, DFU+FRU.

32×32 low-resolution patches in all eight orientations, 50 epochs of Vimeo90K: 323,050 steps of ten.
"""

from yogo_jax.configuration import base


def get_config():
    config = base()
    config.data.patch = (32, 32)
    config.train.steps = 323_050
    return config
