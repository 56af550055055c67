"""YOGO of the paper with 56 filters (Table 2)."""

from yogo_jax.configuration import base


def get_config():
    config = base()
    config.model.filters = 56
    return config
