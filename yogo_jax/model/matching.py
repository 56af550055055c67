"""Motion between neighbouring frames, by matching their features: for networks too small to learn it in the DFU.

A frame to be made lies midway between two known ones. What is at p in it is taken to be at p + v in the later one and
at p − v in the earlier one, and v is where these two agree best (bilateral matching: Park et al., "BMBC", 2020):

    known features ─▶ pyramid ─▶ coarsest level: costs of all v within reach ─▶ v ─▶ next level: the rest of v ─▶ … ─▶ v

At each level the mean of v under a softmax of the costs is what an untrained network finds already; convolutions that
start at zero correct it.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.layers import SMALL, ZEROS, Conv, leaky_relu
from yogo_jax.ops.deform_conv import deform_conv2d
from yogo_jax.ops.resample import up2

CHANNELS = 8  # that are matched: one row of the deformable gather
REACH, COARSEST_REACH = 2, 4  # pixels of a level to either side
SHARPNESS = 4.0  # of the softmax over the costs, at the start


class Motion(NamedTuple):
    """Where a frame's content lies in its neighbours in time, in pixels (dy, dx), float32.

    Attributes:
      to_next, to_last: `[B, 2N−1, H, W, 2]`; zero where there is no such neighbour.
      weight: `[B, N−1, H, W, 1]`, the earlier neighbour's share in a frame to be made, in (0, 1).
    """

    to_next: jax.Array
    to_last: jax.Array
    weight: jax.Array


class Matching(nn.Module):
    """Known frames `[B, N, H, W, 3]` and their features `[B, N, H, W, C]` → `Motion`.

    Of a known frame it is that of the frames to be made beside it, turned round.
    """

    config: YOGOConfig

    @nn.compact
    def __call__(self, frames: jax.Array, known: jax.Array) -> Motion:
        batch, count, height, width, _ = known.shape
        known = jax.lax.stop_gradient(known)  # a loss on the motion leaves the features to the images
        learned = Conv(CHANNELS - 3, size=1, init=SMALL, name="project")(known.reshape(-1, *known.shape[2:]))
        levels = [jnp.concatenate([frames.reshape(-1, *frames.shape[2:]), learned], axis=-1).astype(jnp.float32)]
        while len(levels) < self.config.pyramid_levels:
            levels.append(half(levels[-1]))
        flow = correction = None
        for level in reversed(range(len(levels))):
            x = levels[level].reshape(batch, count, *levels[level].shape[1:])
            before, after = (y.reshape(-1, *x.shape[2:]) for y in (x[:, :-1], x[:, 1:]))
            if flow is None:
                reach, flow = COARSEST_REACH, jnp.zeros((*before.shape[:-1], 2))
            else:
                reach, flow = REACH, 2 * up2(flow)
                before, after = warp(before, -flow), warp(after, flow)
            costs = bilateral_costs(before, after, reach)
            sharpness = self.param(f"log_sharpness{level + 1}", nn.initializers.constant(math.log(SHARPNESS)), (1,))
            chance = jax.nn.softmax(-jnp.exp(sharpness) * costs)
            flow = flow + jnp.matmul(chance, displacements(reach), precision="highest")  # bfloat16 loses ⅛ pixel
            y = leaky_relu(Conv(self.config.filters, name=f"refine{level + 1}_conv1")(costs, flow, before, after))
            y = leaky_relu(Conv(self.config.filters, name=f"refine{level + 1}_conv2")(y))
            correction = Conv(2 if level else 5, init=ZEROS, name=f"refine{level + 1}_conv3")(y)
            if level:
                flow = flow + correction
        assert flow is not None
        assert correction is not None
        to_next, to_last, logit = (
            y.reshape(batch, count - 1, height, width, -1)
            for y in (flow + correction[..., :2], -flow + correction[..., 2:4], correction[..., 4:])
        )
        nothing = jnp.zeros((batch, 1, height, width, 2))
        return Motion(
            interleave(jnp.concatenate([-to_last, nothing], axis=1), to_next),
            interleave(jnp.concatenate([nothing, -to_next], axis=1), to_last),
            jax.nn.sigmoid(logit),
        )


def displacements(reach: int) -> np.ndarray:
    """All (dy, dx) within reach, `[(2·reach + 1)², 2]` float32."""
    side = np.arange(-reach, reach + 1, dtype=np.float32)
    return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)


def bilateral_costs(before: jax.Array, after: jax.Array, reach: int) -> jax.Array:
    """How much before(p − v) and after(p + v) differ around each p, for all v within reach, in tenths.

    `[M, H, W, c]` twice → `[M, H, W, (2·reach + 1)²]`, in the order of `displacements`.
    """
    height, width = before.shape[1:3]
    padding = [(0, 0), (reach, reach), (reach, reach), (0, 0)]
    before, after = (jnp.pad(x, padding, mode="edge") for x in (before, after))

    def at(x: jax.Array, dy: int, dx: int) -> jax.Array:
        return x[:, reach + dy : reach + dy + height, reach + dx : reach + dx + width]

    steps = [(int(dy), int(dx)) for dy, dx in displacements(reach)]
    costs = [jnp.abs(at(before, -dy, -dx) - at(after, dy, dx)).mean(axis=-1) for dy, dx in steps]
    return 10 * box(jnp.stack(costs, axis=-1))


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
    """x `[M, H, W, c]` at p + flow(p), bilinear, edges repeated; flow is `[M, H, W, 2]`, (dy, dx) in pixels."""
    height, width, channels = x.shape[1:]
    rows, columns = jnp.arange(height)[:, None], jnp.arange(width)
    inside = [
        jnp.clip(at + flow[..., axis], 0, size - 1) - at
        for axis, (at, size) in enumerate([(rows, height), (columns, width)])
    ]
    offset = jnp.stack(inside, axis=-1)[..., None, None, :]
    mask = jnp.ones((*flow.shape[:-1], 1, 1), x.dtype)
    return deform_conv2d(x, offset, mask, jnp.eye(channels, dtype=x.dtype)[None, None])


def along(x: jax.Array, flow: jax.Array) -> jax.Array:
    """`warp` of `[B, T, H, W, c]` by `[B, T, H, W, 2]`."""
    return warp(x.reshape(-1, *x.shape[2:]), flow.reshape(-1, *flow.shape[2:])).reshape(x.shape)


def interleave(known: jax.Array, missing: jax.Array) -> jax.Array:
    """`[B, N, …]` and `[B, N−1, …]` → `[B, 2N−1, …]`: known, missing, known, …, known."""
    pairs = jnp.stack([known[:, :-1], missing], axis=2)
    pairs = pairs.reshape(known.shape[0], -1, *known.shape[2:])
    return jnp.concatenate([pairs, known[:, -1:]], axis=1)
