"""Zooming Slow-Mo (Xiang et al., "Fast and Accurate One-Stage Space-Time Video Super-Resolution", CVPR 2020).

frames ─▶ features, pyramid ─▶ aligned from both sides for each missing frame ─▶ deformable ConvLSTM, both ways
       ─▶ residual blocks, reconstruction
"""

import flax.linen as nn
import jax

from yogo_jax.model.images import Measure, Output
from yogo_jax.peers.config import ZoomingSlowMoConfig
from yogo_jax.peers.layers import (
    Between,
    BidirectionalConvLSTM,
    Extraction,
    Reconstruction,
    pairs,
    reconstructed,
    weave,
)


class ZoomingSlowMo(nn.Module):
    """Space-time super-resolution: N frames to 2N−1 frames of four times the height and width."""

    config: ZoomingSlowMoConfig = ZoomingSlowMoConfig()

    @nn.compact
    def __call__(self, frames: jax.Array, auxiliary: bool = False, measure: Measure | None = None) -> Output:
        """frames `[B, N, H, W, 3]`, RGB in [0, 1], N ≥ 2 → `[B, 2N−1, 4H, 4W, 3]`; with a `measure`, their distance
        from its target, float32 []. There is nothing `auxiliary`.
        """
        levels = Extraction(self.config, name="fe")(frames)
        made = Between(self.config.blocks, name="between")(*pairs(levels))
        features = BidirectionalConvLSTM(self.config, name="lstm")(weave(levels[0], [made]))
        recon = Reconstruction(self.config, name="recon")
        return Output(reconstructed(recon, frames.shape[2:4], features, None, measure))
