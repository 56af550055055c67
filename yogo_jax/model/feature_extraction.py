"""FE: features of the known frames, and first features of the frames to be made (Section 3.1)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.layers import Conv, ResidualBlocks, leaky_relu


class FeatureExtraction(nn.Module):
    """Frames `[B, N, H, W, 3]` → features F `[B, 2N−1, H, W, C]`, known frames at even positions."""

    config: YOGOConfig

    @nn.compact
    def __call__(self, frames: jax.Array) -> jax.Array:
        config, (batch, count, *size, _) = self.config, frames.shape
        x = leaky_relu(Conv(config.filters, name="conv_first")(frames.reshape(-1, *size, 3)))
        x = ResidualBlocks(config.filters, config.fe_blocks, name="blocks")(x)
        known = x.reshape(batch, count, *size, config.filters)
        return interleave(known, self._missing(known[:, :-1], known[:, 1:]))

    def _missing(self, before: jax.Array, after: jax.Array) -> jax.Array:
        match self.config.missing_frame:
            case "learned":
                shape = (-1, *before.shape[2:])
                conv = Conv(self.config.filters, name="missing")
                return leaky_relu(conv(before.reshape(shape), after.reshape(shape))).reshape(before.shape)
            case "mean":
                return (before + after) / 2
            case "zero":
                return jnp.zeros_like(before)


def interleave(known: jax.Array, missing: jax.Array) -> jax.Array:
    """`[B, N, …]` and `[B, N−1, …]` → `[B, 2N−1, …]`: known, missing, known, …, known."""
    pairs = jnp.stack([known[:, :-1], missing], axis=2)
    pairs = pairs.reshape(known.shape[0], -1, *known.shape[2:])
    return jnp.concatenate([pairs, known[:, -1:]], axis=1)
