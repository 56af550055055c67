"""The layers that every box of the paper's Figure 2 is made of."""

from typing import TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer, variance_scaling

from yogo_jax.ops.conv import conv2d
from yogo_jax.ops.deform_conv import deform_conv2d

Arrays = TypeVar("Arrays")

HE_NORMAL = variance_scaling(2.0, "fan_in", "normal")
# Branches that are added to what they come from start small, so that deep chains of them start near the identity.
SMALL = variance_scaling(2.0 * 0.1**2, "fan_in", "normal")
ZEROS = nn.initializers.zeros

LOOPED_FROM = 32
"""Channels from which on a chain of blocks is a loop. On two cores the default model, of 24, compiles as fast without
one, and takes 0.92 of its time for a training step."""


def leaky_relu(x: jax.Array) -> jax.Array:
    """LeakyReLU of slope 0.1, the network's activation outside of residual blocks."""
    return jnp.where(x > 0, x, 0.1 * x)  # of slope 0.1 at zero itself, as in PyTorch


class Conv(nn.Module):
    """k×k convolution with bias, zeros around: `[B, H, W, C]` → `[B, ⌈H/stride⌉, ⌈W/stride⌉, features]`.

    Several inputs count as one, their channels in the order given. Computes in the dtype of its input.
    """

    features: int
    size: int = 3
    stride: int = 1
    init: Initializer = HE_NORMAL

    @nn.compact
    def __call__(self, *inputs: jax.Array) -> jax.Array:
        x = inputs[0] if len(inputs) == 1 else jnp.concatenate(inputs, axis=-1)
        kernel = self.param("kernel", self.init, (self.size, self.size, x.shape[-1], self.features))
        bias = self.param("bias", ZEROS, (self.features,))
        return conv2d(x, kernel.astype(x.dtype), bias.astype(x.dtype), self.stride)


class SplitConv(nn.Module):
    """The `Conv` of several inputs of as many channels as it makes, which can also be had in parts.

    A convolution of inputs side by side is the sum of their own: parts of inputs that are known early, for all
    time steps, can be computed early, and in one go with other convolutions of the same input (`parts_of`).
    """

    features: int
    inputs: int
    size: int = 3

    def setup(self) -> None:
        self.kernel = self.param(
            "kernel", HE_NORMAL, (self.size, self.size, self.inputs * self.features, self.features)
        )
        self.bias = self.param("bias", ZEROS, (self.features,))

    def __call__(self, *inputs: jax.Array) -> jax.Array:
        x = jnp.concatenate(inputs, axis=-1)
        return conv2d(x, self.kernel.astype(x.dtype), self.bias.astype(x.dtype))

    def part(self, index: int) -> tuple[jax.Array, jax.Array]:
        """Kernel for one of the inputs, and the bias, which belongs to one part of the sum."""
        return self.kernel[:, :, index * self.features : (index + 1) * self.features], self.bias


def parts_of(x: jax.Array, *parts: tuple[jax.Array, jax.Array], biased: bool) -> list[jax.Array]:
    """Parts of `SplitConv`s that have the same input `[B, H, W, C]`, as one convolution, with the biases or without."""
    kernel = jnp.concatenate([kernel for kernel, _ in parts], axis=-1).astype(x.dtype)
    bias = jnp.concatenate([bias for _, bias in parts]).astype(x.dtype) if biased else None
    return jnp.split(conv2d(x, kernel, bias), len(parts), axis=-1)


class DeformConv(nn.Module):
    """Modulated deformable k×k convolution of x, with offsets and masks predicted from `guide` (DCNv2).

    The 3·G·k² channels of the predicting convolution are first all offsets, `[G, k², (dy, dx)]`, then all masks,
    `[G, k²]`, before their sigmoid; it starts at zero: no displacement, masks of one half. The offsets' mean
    absolute value, in pixels, `[B]`, is sown into the collection `offsets`: when it grows past tens of pixels,
    training is breaking down.
    """

    features: int
    groups: int
    size: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, guide: jax.Array) -> jax.Array:
        kernel = self.param("kernel", HE_NORMAL, (self.size, self.size, x.shape[-1], self.features))
        bias = self.param("bias", ZEROS, (self.features,))
        samples = self.groups * self.size**2
        moves = Conv(3 * samples, init=ZEROS, name="offset_mask")(guide)
        offset, mask = jnp.split(moves, [2 * samples], axis=-1)
        offset = offset.reshape(*offset.shape[:-1], self.groups, -1, 2)
        mask = jax.nn.sigmoid(mask).reshape(*mask.shape[:-1], self.groups, -1)
        if not self.is_initializing():
            self.sow("offsets", "mean", jnp.abs(offset.astype(jnp.float32)).mean(axis=range(1, offset.ndim)))
        return deform_conv2d(x, offset, mask, kernel.astype(x.dtype), bias.astype(x.dtype))


class Residual(nn.Module):
    """conv3, ReLU, conv3: a residual block's branch R, without the sum (no norm)."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(Conv(self.features, init=SMALL, name="conv1")(x))
        return Conv(self.features, init=SMALL, name="conv2")(x)


class ResidualBlock(Residual):
    """A residual block, x + R(x)."""

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + super().__call__(x)


class ResidualBlocks(nn.Module):
    """A chain of residual blocks."""

    features: int
    blocks: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return chained(ResidualBlock(self.features, name="block"), self.blocks, x)


def chained(block: nn.Module, count: int, x: Arrays) -> Arrays:
    """x through `count` blocks in a row, each with parameters of its own, stacked along their first axis.

    It is a scan, so that the compiler sees one block; with fewer than `LOOPED_FROM` channels, an unrolled one.
    """
    if not count:
        return x

    def step(block: nn.Module, x: Arrays, _: None) -> tuple[Arrays, None]:
        return block(x), None

    unroll = 1 if jax.tree.leaves(x)[0].shape[-1] >= LOOPED_FROM else count
    scan = nn.scan(
        step,
        variable_axes={"params": 0, "intermediates": 0},
        split_rngs={"params": True},
        length=count,
        unroll=unroll,
    )
    return scan(block, x, None)[0]
