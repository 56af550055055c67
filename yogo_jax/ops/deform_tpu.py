"""Modulated deformable convolution on TPUs, without a gather: matrix products pick the samples.

A gather of eight numbers at a time is what a TPU is worst at. Here a Pallas kernel takes a tile of pixels and the
window of the image that their samples lie in, and picks the samples' left and right neighbours out of every row of
the window by one product with a matrix of zeros and ones:

    [rows · channels of a group, columns of the window] @ [columns of the window, left | right of each pixel]

Such a product is exact in bfloat16 with sums in float32; a float32 image goes as three bfloat16 parts that add up
to it. Which two rows, and the weights of the bilinear blend, is left to the vector unit, in float32.

A window is as large as its tile's offsets ask for: it is worked off in blocks of `COLUMNS` columns, copied from HBM
one after the other, from the first row and column that a sample needs to the last. So every offset is exact, those of
a few pixels take one block, and no memory depends on them. The backward pass does the same, and adds the image's
gradient, by the transposed product, to the same blocks in HBM.

Columns of images lie on the lanes, `[B, H, C, W]`, as XLA has them around convolutions of wide images anyway.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from yogo_jax.ops.deform_tpu_kernels import COLUMNS, backward_kernel, forward_kernel


def forward(x, offset, mask, matrix, *, interpret=False):
    """The convolution's values.

    Args:
      x: `[B, H, W, C]`.
      offset: `[B, H, W, G, k·k, 2]`.
      mask: `[B, H, W, G, k·k]`.
      matrix: the kernel, `[G·k·k·c, K]`; c is C/G padded to a multiple of 8.
      interpret: run as an ordinary program, on any platform.

    Returns:
      `[B, H, W, K]` in x's dtype.
    """
    plan = _Plan(x, mask, matrix)
    y = pl.pallas_call(
        partial(forward_kernel, plan),
        out_shape=plan.pixels_shape(plan.features, x.dtype),
        grid=plan.grid,
        in_specs=plan.in_specs,
        out_specs=plan.pixels(plan.features),
        scratch_shapes=plan.scratch,
        compiler_params=plan.compiler_params,
        interpret=interpret,
        name="deform_conv",
    )(*plan.arguments(x, offset, mask, matrix))
    return plan.unfolded(y, x.shape)


def backward(x, offset, mask, matrix, g, *, interpret=False):
    """The gradients of `forward`'s first four arguments, given its result's g. d_x and d_matrix are float32."""
    plan = _Plan(x, mask, matrix)
    arguments = plan.arguments(x, offset, mask, matrix)
    image = arguments[-1]
    anywhere = pl.BlockSpec(memory_space=pl.ANY)
    d_image, d_offset, d_mask, d_matrix = pl.pallas_call(
        partial(backward_kernel, plan),
        out_shape=(
            jax.ShapeDtypeStruct(image.shape, jnp.float32),
            plan.pixels_shape(2 * plan.samples, offset.dtype),
            plan.pixels_shape(plan.samples, mask.dtype),
            jax.ShapeDtypeStruct((plan.batch, plan.features, matrix.shape[0]), jnp.float32),
        ),
        grid=plan.grid,
        in_specs=[*plan.in_specs, plan.pixels(plan.features), anywhere],
        out_specs=(
            anywhere,
            plan.pixels(2 * plan.samples),
            plan.pixels(plan.samples),
            pl.BlockSpec((None, plan.features, matrix.shape[0]), lambda b, i, j: (b, 0, 0)),
        ),
        scratch_shapes=[*plan.scratch, *plan.backward_scratch],
        input_output_aliases={6: 0},  # the image's gradient starts at zero
        compiler_params=plan.compiler_params,
        interpret=interpret,
        name="deform_conv_gradients",
    )(*arguments, plan.folded(g), jnp.zeros(image.shape, jnp.float32))
    return (
        plan.cropped(d_image),
        plan.unfolded(d_offset, offset.shape),
        plan.unfolded(d_mask, mask.shape),
        d_matrix.sum(axis=0).T,
    )


class _Plan:
    """Sizes and layouts, from the arguments' shapes.

    What belongs to pixels lies as `[B, H/f, channels, f·W]`: f rows side by side, to fill the lanes where the image
    is narrow. The image lies as `[B, rows, G·c, columns]`, with zeros after its last row and column, so that a block
    that starts at any row is whole.
    """

    def __init__(self, x, mask, matrix):
        self.batch, self.height, self.width, self.channels = x.shape
        self.groups, self.taps = mask.shape[3:]
        self.samples = self.groups * self.taps
        self.depth, self.features = matrix.shape[0] // self.samples, matrix.shape[1]
        self.rows = max(COLUMNS // self.depth // 2 * 2, 2)  # of a block
        self.parts = 3 if x.dtype == jnp.float32 else 1
        together = range(1, max(COLUMNS // self.width, 1) + 1)
        self.together = max(f for f in together if self.height % f == 0)
        self.folds, self.lanes = self.height // self.together, self.together * self.width
        self.grid = (self.batch, self.folds, pl.cdiv(self.lanes, COLUMNS))
        self.compiler_params = pltpu.CompilerParams(dimension_semantics=("parallel", "arbitrary", "arbitrary"))
        self.in_specs = [
            pl.BlockSpec((2 * self.samples, 2), lambda b, i, j: (0, 0)),
            self.pixels(2 * self.samples),
            self.pixels(self.samples),
            pl.BlockSpec(matrix.shape[::-1], lambda b, i, j: (0, 0)),
            pl.BlockSpec(memory_space=pl.ANY),
        ]
        f32 = partial(pltpu.VMEM, dtype=jnp.float32)
        window = (self.rows, self.groups * self.depth, COLUMNS)
        grouped = (self.groups, self.rows * self.depth, COLUMNS)
        self.scratch = [
            f32((2 * self.samples, COLUMNS)),  # corners
            f32((2 * self.samples, COLUMNS)),  # fractions
            f32((self.samples, COLUMNS)),  # masks
            f32((matrix.shape[0], COLUMNS)),  # sampled columns
            pltpu.VMEM(window, x.dtype),
            pltpu.VMEM((self.groups, self.parts * grouped[1], COLUMNS), jnp.bfloat16),
        ]
        self.backward_scratch = [
            f32((matrix.shape[0], COLUMNS)),  # gradients of columns
            f32((2 * self.samples, COLUMNS)),  # of offsets
            f32((self.samples, COLUMNS)),  # of masks
            f32(grouped),  # of the block, from this tile
            f32(window),  # and with that of the tiles before
        ]

    def pixels(self, channels):
        return pl.BlockSpec((None, None, channels, COLUMNS), lambda b, i, j: (b, i, 0, j))

    def pixels_shape(self, channels, dtype):
        return jax.ShapeDtypeStruct((self.batch, self.folds, channels, self.lanes), dtype)

    def folded(self, array):
        return array.reshape(self.batch, self.folds, self.lanes, -1).transpose(0, 1, 3, 2)

    def unfolded(self, array, shape):
        return array.transpose(0, 1, 3, 2).reshape(*shape[:3], *(shape[3:] if len(shape) > 4 else (-1,)))

    def arguments(self, x, offset, mask, matrix):
        row = np.arange(2 * self.samples)
        tap, size, along_x = row // 2 % self.taps, math.isqrt(self.taps), row % 2
        points = np.stack([np.where(along_x, tap % size, tap // size) - size // 2, along_x], axis=1)
        image = x.reshape(*x.shape[:3], self.groups, -1)
        image = jnp.pad(image, [(0, 0)] * 4 + [(0, self.depth - image.shape[-1])])
        image = image.reshape(*x.shape[:3], -1).transpose(0, 1, 3, 2)
        image = jnp.pad(image, [(0, 0), (0, self.rows), (0, 0), (0, -self.width % COLUMNS)])
        return jnp.asarray(points, jnp.float32), self.folded(offset), self.folded(mask), matrix.T, image

    def cropped(self, image):
        image = image[:, : self.height, :, : self.width].transpose(0, 1, 3, 2)
        image = image.reshape(self.batch, self.height, self.width, self.groups, self.depth)
        image = image[..., : self.channels // self.groups]
        return image.reshape(self.batch, self.height, self.width, self.channels)

    def group(self, g):
        """The channels of a group, padded."""
        return pl.ds(g * self.depth, self.depth)
