"""The boxes that Zooming Slow-Mo and TMNet share and YOGO does not have."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.dfu import DFU, Aligner, Pyramid
from yogo_jax.model.images import Measure, flat, one_by_one
from yogo_jax.model.layers import Conv, ResidualBlocks, leaky_relu
from yogo_jax.model.recon import Recon
from yogo_jax.peers.config import TMNetConfig, ZoomingSlowMoConfig

PeerConfig = ZoomingSlowMoConfig | TMNetConfig


class Extraction(nn.Module):
    """Frames `[B, N, H, W, 3]` → features of the known frames at three sizes, `[B, N, h, w, C]` each."""

    config: PeerConfig

    @nn.compact
    def __call__(self, frames: jax.Array) -> list[jax.Array]:
        batch, count, height, width, _ = frames.shape
        multiple = self.config.multiple
        padding = ((0, 0), (0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0))
        x = jnp.pad(frames, padding, mode="edge").astype(self.config.dtype)
        x = leaky_relu(Conv(self.config.filters, name="conv_first")(flat(x)))
        x = ResidualBlocks(self.config.filters, self.config.fe_blocks, name="blocks")(x)
        levels = Pyramid(self.config.blocks, name="pyramid")(x)
        return [level.reshape(batch, count, *level.shape[1:]) for level in levels]


class Between(nn.Module):
    """Features of frames between two known ones, aligned from either side: pyramids of `[B, h, w, C]` → `[B, H, W, C]`.

    With a `moment`, −1 being the first frame and 1 the second, the aligner has to take one.
    """

    config: YOGOConfig
    aligner: type[Aligner] = Aligner

    @nn.compact
    def __call__(self, before: list[jax.Array], after: list[jax.Array], moment: float | None = None) -> jax.Array:
        there, back = ((), ()) if moment is None else ((moment,), (-moment,))
        forward = self.aligner(self.config, name="to_after")(before, after, *there)
        backward = self.aligner(self.config, name="to_before")(after, before, *back)
        return Conv(self.config.filters, size=1, name="merge")(forward, backward)


class ConvLSTMCell(nn.Module):
    """One step of the deformable ConvLSTM: hidden and cell state, `[B, H, W, C]`, are aligned with the input first."""

    config: YOGOConfig

    @nn.compact
    def __call__(self, carry: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[tuple, jax.Array]:
        h, c = carry
        h = DFU(self.config, name="align_h")(x, h)
        c = DFU(self.config, name="align_c")(x, c)
        gates = Conv(4 * self.config.filters, name="gates")(x, h)
        i, f, o, g = jnp.split(gates, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h


class BidirectionalConvLSTM(nn.Module):
    """One ConvLSTM run both ways through time, and merged: `[B, T, H, W, C]` → the same.

    The two ways share their parameters, so that they run as one batch.
    """

    config: PeerConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        cell = nn.remat(ConvLSTMCell, prevent_cse=False) if self.config.remat else ConvLSTMCell
        scan = nn.scan(
            cell,
            variable_broadcast="params",
            variable_axes={"intermediates": 1, "offsets": 1},
            split_rngs={"params": False},
            in_axes=1,
            out_axes=1,
        )
        both = jnp.concatenate([x, x[:, ::-1]])
        zeros = jnp.zeros_like(both[:, 0])
        there, back = jnp.split(scan(self.config.blocks, name="cell")((zeros, zeros), both)[1], 2)
        merged = Conv(self.config.filters, size=1, name="merge")(flat(there), flat(back[:, ::-1]))
        return merged.reshape(x.shape)


class Reconstruction(nn.Module):
    """Features `[M, H, W, C]` → images `[M, 4H, 4W, 3]`; `skip`, of the features' shape, joins before the last part."""

    config: PeerConfig

    @nn.compact
    def __call__(self, x: jax.Array, skip: jax.Array | None = None) -> jax.Array:
        y = ResidualBlocks(self.config.filters, self.config.recon_blocks, name="trunk")(x)
        return Recon(self.config.blocks, name="image")(y if skip is None else y + skip)


def reconstructed(
    recon: Reconstruction,
    size: tuple[int, ...],
    x: jax.Array,
    skip: jax.Array | None = None,
    measure: Measure | None = None,
) -> Any:
    """Features, and a skip of their shape, `[B, T, H, W, C]` → frames `[B, T, 4h, 4w, 3]`, float32; `size` is (h, w).

    With a `measure`, the frames' distance from their target, float32 [].
    """
    height, width = size
    made_of = jax.tree.map(flat, (x, skip))

    def cropped(y: Any) -> jax.Array:
        return y[:, : 4 * height, : 4 * width].astype(jnp.float32)

    if measure is None or recon.is_initializing():
        y = cropped(one_by_one(recon, *made_of))
        return y.reshape(*x.shape[:2], *y.shape[1:])
    module, variables = recon.unbind()

    def images(params: Any, made_of: Any) -> jax.Array:
        return cropped(module.apply({"params": params}, *made_of))

    return measure.of("image", images, variables["params"], made_of)


def pairs(levels: list[jax.Array]) -> tuple[list[jax.Array], list[jax.Array]]:
    """Pyramids of N frames, `[B, N, …]` → pyramids of the N−1 earlier ones and the N−1 later, `[B·(N−1), …]`."""
    return [flat(level[:, :-1]) for level in levels], [flat(level[:, 1:]) for level in levels]


def weave(known: jax.Array, made: list[jax.Array]) -> jax.Array:
    """`[B, N, …]` and, for each moment between two frames, `[B·(N−1), …]` → `[B, T, …]` in order of time."""
    before = known[:, :-1]
    woven = jnp.stack([before, *(frames.reshape(before.shape) for frames in made)], axis=2)
    return jnp.concatenate([woven.reshape(known.shape[0], -1, *known.shape[2:]), known[:, -1:]], axis=1)
