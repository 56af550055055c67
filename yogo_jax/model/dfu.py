"""DFU: the dynamic filter unit aligns a hidden state with the current features (Section 3.2, Eq. 1).

    H, F ──▶ pyramid of each ──▶ level 3: offsets, DCN ──▶ level 2 ──▶ level 1 ──▶ aligned
                                 └── ×2, offsets doubled ──┘

The aligner runs from H to F and from F to H, and a 1×1 convolution merges the two results.
"""

import flax.linen as nn
import jax

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.layers import Conv, DeformConv, leaky_relu
from yogo_jax.ops.resample import up2


class Pyramid(nn.Module):
    """x `[B, H, W, C]` → its levels, the finest (x itself) first, each half as large as the one before."""

    config: YOGOConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> list[jax.Array]:
        levels = [x]
        for level in range(2, self.config.pyramid_levels + 1):
            x = leaky_relu(Conv(self.config.filters, stride=2, name=f"level{level}_conv1")(x))
            x = leaky_relu(Conv(self.config.filters, name=f"level{level}_conv2")(x))
            levels.append(x)
        return levels


class Aligner(nn.Module):
    """Aligns `source` to `reference`, from coarse to fine; both are pyramids. Returns `[B, H, W, C]`."""

    config: YOGOConfig

    @nn.compact
    def __call__(self, source: list[jax.Array], reference: list[jax.Array], *context: float) -> jax.Array:
        filters, coarsest = self.config.filters, len(source)
        guide = aligned = None
        for level in range(coarsest, 0, -1):

            def conv(name: str, *inputs: jax.Array, level: int = level) -> jax.Array:
                return Conv(filters, name=f"level{level}_{name}")(*inputs)

            wide, src = guide, source[level - 1]
            guide = leaky_relu(conv("offset_conv1", src, reference[level - 1]))
            if wide is not None:
                guide = leaky_relu(conv("offset_conv2", guide, 2 * up2(wide)))
            guide = self.last_guide(level, guide, *context)
            moved = DeformConv(filters, self.config.groups, self.config.dcn_size, name=f"level{level}_dcn")(src, guide)
            if aligned is not None:
                moved = conv("fuse", moved, up2(aligned))
            aligned = moved if level == 1 else leaky_relu(moved)
        assert aligned is not None
        return aligned

    def last_guide(self, level: int, guide: jax.Array) -> jax.Array:
        """What a level's offsets and masks are predicted from; aligners that know more than features override it."""
        return leaky_relu(Conv(self.config.filters, name=f"level{level}_offset_conv3")(guide))


class DFU(nn.Module):
    """Hidden state H and current features F, `[B, H, W, C]` each → H aligned with F, `[B, H, W, C]`."""

    config: YOGOConfig

    @nn.compact
    def __call__(self, hidden: jax.Array, features: jax.Array) -> jax.Array:
        pyramid = Pyramid(self.config, name="pyramid")
        hidden_levels, features_levels = pyramid(hidden), pyramid(features)
        aligned = Aligner(self.config, name="to_features")(hidden_levels, features_levels)
        if self.config.dfu_direction == "hidden":
            return aligned
        back = Aligner(self.config, name="to_hidden")(features_levels, hidden_levels)
        return Conv(self.config.filters, size=1, name="merge")(aligned, back)
