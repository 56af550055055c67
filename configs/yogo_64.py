"""YOGO of the paper with 64 filters (Table 2)."""

from yogo_jax.configuration import base


def get_config():
    config = base()
    config.model.filters = 64
    return config
