"""Motion between neighbouring frames, by registering them: for networks too small to learn it in the DFU.

A frame to be made lies midway between two known ones. What is at p in it is taken to be at p − v in the earlier one
and at p + v in the later one, and v is where these two agree best. Of a known frame it is the same with the whole way
on one side: p in it, p ± 2v in the other. Gauss-Newton steps find v, from coarse to fine (Lucas and Kanade, 1981):

    known frames ─▶ pyramid ─▶ coarsest level: v = 0, steps ─▶ next level: 2v, steps ─▶ … ─▶ v

The motion has nothing to be trained, and no gradient goes through it. Learned is how much of each neighbour is taken.
"""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from yogo_jax.model.config import REGISTRATION_LEVELS, YOGOConfig
from yogo_jax.model.layers import ZEROS, Conv, leaky_relu
from yogo_jax.ops.deform_conv import deform_conv2d
from yogo_jax.ops.memory import laid_down_on_cpu
from yogo_jax.ops.resample import up2

STEPS = 3  # at each level
DAMPING = 0.01  # squared slope, of [0, 1] a pixel, below which v stays as it was: flat areas, noise


class Motion(NamedTuple):
    """Where a frame's content lies in its neighbours in time, in pixels (dy, dx), float32.

    Attributes:
      to_next, to_last: `[B, 2N−1, H, W, 2]`; zero where there is no such neighbour.
      weight: `[B, N−1, H, W, 1]`, the earlier neighbour's share in a frame to be made, in (0, 1).
    """

    to_next: jax.Array
    to_last: jax.Array
    weight: jax.Array


class Registration(nn.Module):
    """Known frames `[B, N, H, W, 3]` → `Motion`. The weight is learned, the rest is found."""

    config: YOGOConfig

    @nn.compact
    def __call__(self, frames: jax.Array) -> Motion:
        batch, count, height, width, _ = frames.shape
        frames = jax.lax.stop_gradient(frames.astype(jnp.float32))
        before, after = (x.reshape(-1, height, width, 3) for x in (frames[:, :-1], frames[:, 1:]))
        # Of the frames to be made, of the earlier known ones, and of the later ones: shares of the way.
        way = jnp.repeat(jnp.array([[1.0, 1.0], [0.0, 2.0], [2.0, 0.0]]), batch * (count - 1), axis=0)
        flow = register(jnp.concatenate([before] * 3), jnp.concatenate([after] * 3), way[:, :, None, None, None])
        made, ahead, back = jnp.split(flow, 3)
        x = leaky_relu(Conv(self.config.filters, name="share_conv1")(warp(before, -made), warp(after, made)))
        weight = jax.nn.sigmoid(Conv(1, init=ZEROS, name="share_conv2")(x))

        made, ahead, back, weight = (
            x.reshape(batch, count - 1, height, width, -1) for x in (made, ahead, back, weight)
        )
        nothing = jnp.zeros((batch, 1, height, width, 2))
        return Motion(
            interleave(jnp.concatenate([ahead, nothing], axis=1), made),
            interleave(jnp.concatenate([nothing, -back], axis=1), -made),
            weight,
        )


def register(before: jax.Array, after: jax.Array, way: jax.Array) -> jax.Array:
    """v such that before(p − way₁·v(p)) = after(p + way₂·v(p)), `[M, H, W, 2]`, (dy, dx) in pixels.

    Args:
      before, after: `[M, H, W, c]` in [0, 1], H and W multiples of 8.
      way: `[M, 2, 1, 1, 1]`.
    """
    levels = [(before, after)]
    while len(levels) < REGISTRATION_LEVELS:
        levels.append((half(levels[-1][0]), half(levels[-1][1])))
    flow = None
    for before, after in reversed(levels):
        flow = jnp.zeros((*before.shape[:-1], 2)) if flow is None else 2 * up2(flow)

        def step(_: int, flow: jax.Array, before: jax.Array = before, after: jax.Array = after) -> jax.Array:
            return box(flow + gauss_newton_step(before, after, way, flow))

        flow = jax.lax.fori_loop(0, STEPS, step, flow)
    assert flow is not None
    return flow


def gauss_newton_step(before: jax.Array, after: jax.Array, way: jax.Array, flow: jax.Array) -> jax.Array:
    """What to add to `flow` `[M, H, W, 2]` for the least squared difference within 5×5 pixels, at most a pixel."""
    before, after = warp(before, -way[:, 0] * flow), warp(after, way[:, 1] * flow)
    dy, dx = slopes(way[:, 0] * before + way[:, 1] * after)
    rest = after - before
    products = jnp.stack([(a * b).sum(axis=-1) for a, b in ((dy, dy), (dy, dx), (dx, dx), (dy, rest), (dx, rest))], -1)
    yy, yx, xx, y, x = jnp.moveaxis(box(products), -1, 0)
    yy, xx = yy + DAMPING, xx + DAMPING
    step = jnp.stack([yx * x - xx * y, yx * y - yy * x], axis=-1) / (yy * xx - yx * yx)[..., None]
    return jnp.clip(step, -1, 1)


def slopes(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Central differences along y and x, edges repeated: `[M, H, W, c]` → two of them."""
    padded = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    return (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2, (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2


def box(x: jax.Array) -> jax.Array:
    """Mean over 5×5 pixels, edges repeated: `[M, H, W, c]` → the same."""
    for axis in (1, 2):
        size = x.shape[axis]
        padded = jnp.pad(x, [(2, 2) if i == axis else (0, 0) for i in range(4)], mode="edge")
        first, *others = (jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(5))
        x = sum(others, start=first) / 5
    return x


def half(x: jax.Array) -> jax.Array:
    """Means of 2×2 pixels: `[M, 2H, 2W, c]` → `[M, H, W, c]`."""
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def warp(x: jax.Array, flow: jax.Array) -> jax.Array:
    """x `[M, H, W, c]` at p + flow(p), bilinear, edges repeated; flow is `[M, H, W, 2]`, (dy, dx) in pixels.

    One image `[1, H, W, c]` may be sampled along several flows.
    """
    if x.shape[-1] > 4:
        return _warp_features(x, flow)
    return jax.lax.platform_dependent(x, flow, tpu=_warp_features, default=_warp_image)


def _warp_features(x: jax.Array, flow: jax.Array) -> jax.Array:
    """As a deformable convolution: with its gradients, and its kernel for TPUs."""
    x = jnp.broadcast_to(x, (*flow.shape[:-1], x.shape[-1]))
    offset = (_inside(flow, x.shape) - _grid(x.shape))[..., None, None, :]
    mask = jnp.ones((*flow.shape[:-1], 1, 1), x.dtype)
    return deform_conv2d(x, offset, mask, jnp.eye(x.shape[-1], dtype=x.dtype)[None, None])


def _warp_image(x: jax.Array, flow: jax.Array) -> jax.Array:
    """Gathers of two neighbouring pixels each, which XLA fuses with the sums; where no gradient is needed."""
    at = _inside(flow, x.shape)
    # A neighbour for a lone row or column, and for sides that an exported program leaves open.
    missing = [(0, 0 if isinstance(side, int) and side > 1 else 1) for side in x.shape[1:3]]
    x = jnp.pad(x, [(0, 0), *missing, (0, 0)], mode="edge")
    count, height, width, channels = x.shape
    first = jnp.minimum(jnp.floor(at), jnp.array([height - 2, width - 2]))
    top, left = (first[..., axis].astype(jnp.int32) for axis in (0, 1))
    pixel = (jnp.arange(count) * height * width)[:, None, None] + top * width + left
    pixel, share = laid_down_on_cpu((pixel, at - first))
    y, x_ = jnp.split(share, 2, axis=-1)

    def pair(pixel: jax.Array) -> jax.Array:
        along_rows = jax.lax.GatherDimensionNumbers((3,), collapsed_slice_dims=(), start_index_map=(0,))
        return jax.lax.gather(x.ravel(), channels * pixel[..., None], along_rows, (2 * channels,), mode="clip")

    pairs = (1 - y) * pair(pixel) + y * pair(pixel + width)
    return ((1 - x_) * pairs[..., :channels] + x_ * pairs[..., channels:]).astype(x.dtype)


def _grid(shape: Sequence[int]) -> jax.Array:
    """(y, x) of each pixel of `[M, H, W, c]`: `[H, W, 2]`."""
    return jnp.stack(jnp.meshgrid(jnp.arange(shape[1]), jnp.arange(shape[2]), indexing="ij"), axis=-1)


def _inside(flow: jax.Array, shape: Sequence[int]) -> jax.Array:
    """Where each pixel's flow leads, moved into the image."""
    return jnp.clip(_grid(shape) + flow, 0, jnp.array([shape[1] - 1, shape[2] - 1]))


def along(x: jax.Array, flow: jax.Array) -> jax.Array:
    """`warp` of `[B, T, H, W, c]` by `[B, T, H, W, 2]`."""
    return warp(x.reshape(-1, *x.shape[2:]), flow.reshape(-1, *flow.shape[2:])).reshape(x.shape)


def interleave(known: jax.Array, missing: jax.Array) -> jax.Array:
    """`[B, N, …]` and `[B, N−1, …]` → `[B, 2N−1, …]`: known, missing, known, …, known."""
    pairs = jnp.stack([known[:, :-1], missing], axis=2)
    pairs = pairs.reshape(known.shape[0], -1, *known.shape[2:])
    return jnp.concatenate([pairs, known[:, -1:]], axis=1)
