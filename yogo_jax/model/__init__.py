"""The network of the paper, one module for each box of its Figure 2."""

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.images import Measure, Output
from yogo_jax.model.yogo import YOGO

__all__ = ["YOGO", "Measure", "Output", "YOGOConfig"]
