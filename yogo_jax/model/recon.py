"""Recon: features to an image of four times the size (Section 3.4)."""

import flax.linen as nn
import jax

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.layers import HE_NORMAL, ZEROS, Conv, leaky_relu
from yogo_jax.ops.resample import pixel_shuffle


class Recon(nn.Module):
    """`[B, H, W, C]` → `[B, 4H, 4W, 3]`: two pixel shuffles, each after a convolution, then two convolutions.

    The light form shuffles straight to the image: a sixth to an eighth of the multiply-adds, and no feature of
    the image's size.
    """

    config: YOGOConfig
    zero_last: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        filters = x.shape[-1]
        last = ZEROS if self.zero_last else HE_NORMAL
        x = leaky_relu(pixel_shuffle(Conv(4 * filters, name="upconv1")(x), 2))
        if self.config.recon == "light":
            return pixel_shuffle(Conv(12, init=last, name="conv_last")(x), 2)
        x = leaky_relu(pixel_shuffle(Conv(4 * filters, name="upconv2")(x), 2))
        x = leaky_relu(Conv(filters, name="conv_hr")(x))
        return Conv(3, init=last, name="conv_last")(x)
