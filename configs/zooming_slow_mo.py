"""Zooming Slow-Mo, to evaluate or fine-tune the authors' weights (`yogo convert`) or to train anew."""

from yogo_jax.configuration import base
from yogo_jax.peers import ZoomingSlowMoConfig


def get_config():
    return base(ZoomingSlowMoConfig())
