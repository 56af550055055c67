"""The boxes that Zooming Slow-Mo and TMNet share and YOGO does not have."""

from dataclasses import replace
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
    """Features `[B, T, H, W, C]` → frames `[B, T, 4h, 4w, 3]`, float32, cropped to `size`, (h, w).

    `skip`, features of the same shape, is added before the image is made. `auxiliary` keeps for gradients what the
    images are made of; else, and where the config has `remat`, it is one frame at a time. With a `measure`, it gives
    their distance from its target, [].
    """

    config: PeerConfig

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        size: tuple[int, ...],
        skip: jax.Array | None = None,
        auxiliary: bool = False,
        measure: Measure | None = None,
    ) -> jax.Array:
        if measure is not None and not self.is_initializing():
            alone = Reconstruction(replace(self.config, remat=False), parent=None)

            def images(params: Any, made_of: tuple[jax.Array, jax.Array | None]) -> jax.Array:
                x, skip = jax.tree.map(lambda x: x[:, None], made_of)
                y: Any = alone.apply({"params": params}, x, size, skip, auxiliary=True)
                return y[:, 0]

            return measure.of("image", images, self.variables["params"], jax.tree.map(flat, (x, skip)))

        def each(module: nn.Module, frames: jax.Array) -> jax.Array:
            if self.is_initializing() or (auxiliary and not self.config.remat):
                return module(frames)
            return one_by_one(module, frames, self.config.remat)

        y = each(ResidualBlocks(self.config.filters, self.config.recon_blocks, name="trunk"), flat(x))
        if skip is not None:
            y = y + flat(skip)
        height, width = size
        y = each(Recon(self.config.blocks, name="image"), y)
        return y.reshape(*x.shape[:2], *y.shape[1:])[:, :, : 4 * height, : 4 * width].astype(jnp.float32)


def pairs(levels: list[jax.Array]) -> tuple[list[jax.Array], list[jax.Array]]:
    """Pyramids of N frames, `[B, N, …]` → pyramids of the N−1 earlier ones and the N−1 later, `[B·(N−1), …]`."""
    return [flat(level[:, :-1]) for level in levels], [flat(level[:, 1:]) for level in levels]


def weave(known: jax.Array, made: list[jax.Array]) -> jax.Array:
    """`[B, N, …]` and, for each moment between two frames, `[B·(N−1), …]` → `[B, T, …]` in order of time."""
    before = known[:, :-1]
    woven = jnp.stack([before, *(frames.reshape(before.shape) for frames in made)], axis=2)
    return jnp.concatenate([woven.reshape(known.shape[0], -1, *known.shape[2:]), known[:, -1:]], axis=1)
