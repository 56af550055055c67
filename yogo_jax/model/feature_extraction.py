"""FE: features of the known frames, and first features of the frames to be made (Section 3.1)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.layers import Conv, ResidualBlocks, leaky_relu
from yogo_jax.model.matching import Matching, Motion, along, interleave


class FeatureExtraction(nn.Module):
    """Frames `[B, N, H, W, 3]` → features F `[B, 2N−1, H, W, C]`, known frames at even positions, and the motion.

    Without `config.motion` it is None.
    """

    config: YOGOConfig

    @nn.compact
    def __call__(self, frames: jax.Array) -> tuple[jax.Array, Motion | None]:
        config, (batch, count, *size, _) = self.config, frames.shape
        x = leaky_relu(Conv(config.filters, name="conv_first")(frames.reshape(-1, *size, 3)))
        x = ResidualBlocks(config.filters, config.fe_blocks, name="blocks")(x)
        known = x.reshape(batch, count, *size, config.filters)
        before, after, motion = known[:, :-1], known[:, 1:], None
        if config.motion == "matched":
            motion = Matching(config, name="match")(frames, known)
            before = along(before, motion.to_last[:, 1::2])
            after = along(after, motion.to_next[:, 1::2])
        return interleave(known, self._missing(before, after)), motion

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
