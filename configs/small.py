"""The default model: small enough to be trained, and to run, on a two-core machine."""

from yogo_jax.configuration import base


def get_config():
    config = base()
    config.model.filters = 24
    config.model.groups = 3  # rows of 8 channels: what the deformable gather is fastest with
    config.model.fe_blocks = 2
    config.model.frb_backward = 1
    config.model.frb_forward = 2
    config.model.hfbs = 3
    config.model.dfu_direction = "hidden"  # Eq. 1 as written, half of the aligner's cost
    config.model.recon = "light"
    config.model.image_skip = "interpolate"  # starts as the classical baseline
    return config
