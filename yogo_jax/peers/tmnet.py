"""TMNet (Xu et al., "Temporal Modulation Network for Controllable Space-Time Video Super-Resolution", CVPR 2021).

Zooming Slow-Mo, and three things more: the moment of a frame to be made modulates its aligners' offsets
(temporal modulation block), each frame's features are compared with its neighbours' before the ConvLSTM
(locally temporal feature comparison), and the features before both are added again before the reconstruction.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.dfu import Aligner
from yogo_jax.model.images import Measure, Output, flat
from yogo_jax.model.layers import HE_NORMAL, Conv, DeformConv, leaky_relu
from yogo_jax.peers.config import TMNetConfig
from yogo_jax.peers.layers import (
    Between,
    BidirectionalConvLSTM,
    Extraction,
    Reconstruction,
    pairs,
    reconstructed,
    weave,
)


class TemporalModulation(nn.Module):
    """Offset features `[B, H, W, C]` times a vector that a moment in [−1, 1] is turned into."""

    @nn.compact
    def __call__(self, x: jax.Array, moment: float) -> jax.Array:
        filters = x.shape[-1]
        vector = jnp.full((1, 1, 1, 1), moment, x.dtype)
        for layer in range(3):
            dense = nn.Dense(filters, use_bias=False, dtype=x.dtype, kernel_init=HE_NORMAL, name=f"moment{layer}")
            vector = leaky_relu(dense(vector))
        for layer in range(2):
            x = leaky_relu(Conv(filters, name=f"feature{layer}")(x))
        return x * vector


class ModulatedAligner(Aligner):
    """The pyramid aligner with a temporal modulation block at each level."""

    def setup(self) -> None:
        super().setup()
        levels = range(1, self.config.pyramid_levels + 1)
        self.modulation = [TemporalModulation(name=f"level{n}_modulation") for n in levels]

    def last_guide(self, level: int, guide: jax.Array, moment: float) -> jax.Array:
        last = super().last_guide(level, guide)
        # Nothing in the way of the moment has a bias: half-way, at 0, the modulation is exactly nothing.
        if moment == 0 and not self.is_initializing():
            return last
        return last + self.modulation[level](guide, moment)


class FeatureComparison(nn.Module):
    """Each frame's features with its neighbours' aligned to it: `[B, T, H, W, C]` → what to add to them.

    The first and the last frame are their own neighbours.
    """

    config: YOGOConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        filters, frame = self.config.filters, flat(x)
        before = self._aligned(flat(jnp.concatenate([x[:, :1], x[:, :-1]], axis=1)), frame, "before")
        after = self._aligned(flat(jnp.concatenate([x[:, 1:], x[:, -1:]], axis=1)), frame, "after")
        y = leaky_relu(Conv(3 * filters, size=1, name="merge0")(before, frame, after))
        for layer in (1, 2):
            y = leaky_relu(Conv(3 * filters, size=1, name=f"merge{layer}")(y))
        return Conv(filters, size=1, name="merge3")(y).reshape(x.shape)

    def _aligned(self, neighbour: jax.Array, frame: jax.Array, name: str) -> jax.Array:
        guide = leaky_relu(Conv(self.config.filters, name=f"{name}_conv1")(neighbour, frame))
        guide = Conv(self.config.filters, name=f"{name}_conv2")(guide)
        return leaky_relu(DeformConv(self.config.filters, self.config.groups, name=f"{name}_dcn")(neighbour, guide))


class TMNet(nn.Module):
    """Space-time super-resolution, the frames between two known ones at the config's `moments`."""

    config: TMNetConfig = TMNetConfig()

    @nn.compact
    def __call__(self, frames: jax.Array, auxiliary: bool = False, measure: Measure | None = None) -> Output:
        """frames `[B, N, H, W, 3]`, RGB in [0, 1], N ≥ 2 → `[B, T, 4H, 4W, 3]`; with a `measure`, their distance from
        its target, float32 []. There is nothing `auxiliary`.

        T is (N − 1)(K + 1) + 1 with K moments.
        """
        levels = Extraction(self.config, name="fe")(frames)
        between = Between(self.config.blocks, ModulatedAligner, name="between")
        made = [between(*pairs(levels), moment=2 * moment - 1) for moment in self.config.moments]
        first = weave(levels[0], made)
        compared = first + FeatureComparison(self.config.blocks, name="comparison")(first)
        features = BidirectionalConvLSTM(self.config, name="lstm")(compared)
        recon = Reconstruction(self.config, name="recon")
        return Output(reconstructed(recon, frames.shape[2:4], features, first, measure))
