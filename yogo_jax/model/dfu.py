"""DFU: the dynamic filter unit aligns a hidden state with the current features (Section 3.2, Eq. 1).

    H, F ──▶ pyramid of each ──▶ level 3: offsets, DCN ──▶ level 2 ──▶ level 1 ──▶ aligned
                                 └── ×2, offsets doubled ──┘

The aligner runs from H to F and from F to H, and a 1×1 convolution merges the two results.
"""

from typing import NamedTuple

import flax.linen as nn
import jax

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.layers import Conv, DeformConv, SplitConv, leaky_relu, parts_of
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

    def setup(self) -> None:
        filters, groups, coarsest = self.config.filters, self.config.groups, self.config.pyramid_levels
        self.offset_conv1 = [SplitConv(filters, 2, name=f"level{n}_offset_conv1") for n in range(1, coarsest + 1)]
        self.offset_conv2 = [Conv(filters, name=f"level{n}_offset_conv2") for n in range(1, coarsest)]
        self.offset_conv3 = [Conv(filters, name=f"level{n}_offset_conv3") for n in range(1, coarsest + 1)]
        self.dcn = [
            DeformConv(filters, groups, self.config.dcn_size, name=f"level{n}_dcn") for n in range(1, coarsest + 1)
        ]
        self.fuse = [Conv(filters, name=f"level{n}_fuse") for n in range(1, coarsest)]

    def __call__(self, source: list[jax.Array], reference: list[jax.Array], *context: float) -> jax.Array:
        first = [conv(*pair) for conv, *pair in zip(self.offset_conv1, source, reference, strict=True)]
        return self.align(source, first, *context)

    def align(self, source: list[jax.Array], first: list[jax.Array], *context: float) -> jax.Array:
        """The same, with each level's first convolution, of source and reference, done."""
        wide = aligned = None
        for level in reversed(range(len(source))):
            guide = leaky_relu(first[level])
            if wide is not None:
                guide = leaky_relu(self.offset_conv2[level](guide, 2 * up2(wide)))
            wide = guide = self.last_guide(level, guide, *context)
            moved = self.dcn[level](source[level], guide)
            if aligned is not None:
                moved = self.fuse[level](moved, up2(aligned))
            aligned = moved if level == 0 else leaky_relu(moved)
        assert aligned is not None
        return aligned

    def last_guide(self, level: int, guide: jax.Array) -> jax.Array:
        """What a level's offsets and masks are predicted from; aligners that know more than features override it.

        `level` counts from the finest, 0.
        """
        return leaky_relu(self.offset_conv3[level](guide))


class Seen(NamedTuple):
    """What one of a DFU's two inputs gives to it, without the other.

    `levels` is its pyramid. `first` are its parts of the aligners' first convolutions, for each level those of
    the aligners to the features and, where there is one, to the hidden state.
    """

    levels: list[jax.Array]
    first: list[list[jax.Array]]


class DFU(nn.Module):
    """Hidden state H and current features F, `[B, H, W, C]` each → H aligned with F, `[B, H, W, C]`.

    Each can be looked at (`seen`) before the other is there.
    """

    config: YOGOConfig

    def setup(self) -> None:
        self.pyramid = Pyramid(self.config)
        self.to_features = Aligner(self.config)
        if self.config.dfu_direction == "both":
            self.to_hidden = Aligner(self.config)
            self.merge = Conv(self.config.filters, size=1)

    def __call__(self, hidden: jax.Array, features: jax.Array) -> jax.Array:
        return self.align(self.seen(hidden, 0), self.seen(features, 1))

    def seen(self, x: jax.Array, index: int) -> Seen:
        """x is the hidden state (`index` 0) or the current features (1)."""
        aligners = [(self.to_features, index)]
        if self.config.dfu_direction == "both":
            aligners.append((self.to_hidden, 1 - index))
        levels = self.pyramid(x)
        first = [
            parts_of(x, *(aligner.offset_conv1[level].part(part) for aligner, part in aligners), biased=index == 1)
            for level, x in enumerate(levels)
        ]
        return Seen(levels, first)

    def align(self, hidden: Seen, features: Seen) -> jax.Array:
        first = [[a + b for a, b in zip(*pair, strict=True)] for pair in zip(hidden.first, features.first, strict=True)]
        aligned = self.to_features.align(hidden.levels, [level[0] for level in first])
        if self.config.dfu_direction == "hidden":
            return aligned
        return self.merge(aligned, self.to_hidden.align(features.levels, [level[1] for level in first]))
