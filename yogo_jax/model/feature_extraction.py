"""FE: features of the known frames, and first features of the frames to be made (Section 3.1)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from yogo_jax import imaging
from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.layers import ZEROS, Conv, ResidualBlocks, leaky_relu
from yogo_jax.model.registration import Motion, along, interleave
from yogo_jax.ops.resample import pixel_unshuffle


class FeatureExtraction(nn.Module):
    """Frames `[B, N, H, W, 3]` → features F `[B, 2N−1, H, W, C]`, known frames at even positions.

    Frames to be made have their neighbours sampled along the motion, if there is one. `evidence`, `[B, N, 4H, 4W, 3]`,
    is what other frames add to the known ones.
    """

    config: YOGOConfig

    @nn.compact
    def __call__(self, frames: jax.Array, motion: Motion | None = None, evidence: jax.Array | None = None) -> jax.Array:
        config, (batch, count, *size, _) = self.config, frames.shape
        x = Conv(config.filters, name="conv_first")(frames.reshape(-1, *size, 3))
        if evidence is not None:
            evidence = pixel_unshuffle(evidence.reshape(-1, *evidence.shape[2:]), imaging.SCALE)
            x = x + Conv(config.filters, init=ZEROS, name="conv_evidence")(evidence.astype(x.dtype))
        x = ResidualBlocks(config.filters, config.fe_blocks, name="blocks")(leaky_relu(x))
        known = x.reshape(batch, count, *size, config.filters)
        before, after = known[:, :-1], known[:, 1:]
        if motion is not None:
            before = along(before, motion.to_last[:, 1::2])
            after = along(after, motion.to_next[:, 1::2])
        return interleave(known, self._missing(before, after))

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
