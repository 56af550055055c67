"""Modulated deformable convolution (DCNv2), as a bilinear gather.

    y(p) = b + Σ_g Σ_k w_{g,k} · m_{g,k}(p) · x_g(p + p_k + Δ_{g,k}(p))

with bilinear samples that are zero outside of the image, each of the four corners on its own: what
`torchvision.ops.deform_conv2d` computes at stride 1 with k//2 zeros on every side.

The image is laid out as rows of the C/G channels that one group has at one pixel, so that a corner of a sample
is one row, and the samples of a pixel lie in memory as the matrix product with the kernel wants them. Pixels
are worked off in strips, forward and backward, so that memory beyond arguments and results stays the same
whatever the size of the image; the backward pass samples anew instead of keeping what the forward one sampled.
On TPUs, where gathers are slow, it is `deform_tpu`, chosen at lowering.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from yogo_jax.ops import deform_tpu
from yogo_jax.ops.memory import laid_down_on_cpu
from yogo_jax.ops.products import widened

# Bytes of sampled columns that a strip may fill: what stays in a core's cache, or what keeps a chip busy.
STRIP_BYTES_CPU = 1 << 20
STRIP_BYTES = 1 << 26

_gather_everywhere = ContextVar("gather_everywhere", default=False)


@contextmanager
def gather_everywhere() -> Iterator[None]:
    """Trace `deform_conv2d` without TPUs' own kernel: JAX cannot put that into one program for several platforms."""
    token = _gather_everywhere.set(True)
    try:
        yield
    finally:
        _gather_everywhere.reset(token)


def deform_conv2d(
    x: jax.Array, offset: jax.Array, mask: jax.Array, kernel: jax.Array, bias: jax.Array | None = None
) -> jax.Array:
    """Deformable convolution, stride 1.

    Args:
      x: `[B, H, W, C]`, float32 or bfloat16.
      offset: `[B, H, W, G, k·k, 2]`, (dy, dx) in pixels, on top of the kernel's grid. Used as float32. Samples
        at any distance outside of the image are zero, and so are samples at NaN.
      mask: `[B, H, W, G, k·k]`, factors of the samples.
      kernel: `[k, k, C, K]`, k odd.
      bias: `[K]`.

    Returns:
      `[B, H, W, K]` in x's dtype.

    Raises:
      ValueError: an even kernel, offsets or masks that are not k·k, or channels that the groups do not divide.
    """
    size, (groups, taps) = kernel.shape[0], mask.shape[3:]
    if size % 2 == 0 or taps != size**2 or offset.shape[3:] != (groups, taps, 2):
        raise ValueError(
            f"a {size}×{size} kernel, {taps} masks a group, offsets of {offset.shape[3:]}: it takes odd kernels, "
            f"{size**2} masks, and offsets of {(groups, size**2, 2)}"
        )
    if x.shape[3] % groups:
        raise ValueError(f"{x.shape[3]} channels in {groups} groups: groups divide the channels")
    symbolic = not all(isinstance(side, int) for side in x.shape)  # in an exported program of all sizes
    return _deform_conv2d(x, offset, mask, kernel, bias, gather=symbolic or _gather_everywhere.get())


@partial(jax.jit, static_argnames="gather")
def _deform_conv2d(x, offset, mask, kernel, bias, *, gather):
    y = _convolve(x, offset, mask, kernel, gather)
    return y if bias is None else y + bias


def _by_platform(function, on_tpu, gather, *arguments):
    return lax.platform_dependent(
        *arguments,
        cpu=partial(function, strip_bytes=STRIP_BYTES_CPU),
        **({} if gather else {"tpu": on_tpu}),
        default=partial(function, strip_bytes=STRIP_BYTES),
    )


def _tpu_forward(x, offset, mask, kernel, **options):
    return deform_tpu.forward(x, offset, mask, _matrix(kernel, mask.shape[3]), **options)


def _tpu_backward(x, offset, mask, kernel, g, **options):
    groups = mask.shape[3]
    d_x, d_offset, d_mask, d_matrix = deform_tpu.backward(x, offset, mask, _matrix(kernel, groups), g, **options)
    return d_x.astype(x.dtype), d_offset, d_mask, _kernel(d_matrix, kernel.shape, groups).astype(kernel.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _convolve(x, offset, mask, kernel, gather):
    return _by_platform(_forward, _tpu_forward, gather, x, offset, mask, kernel)


def _convolve_forward(x, offset, mask, kernel, gather):
    return _convolve(x, offset, mask, kernel, gather), (x, offset, mask, kernel)


def _convolve_backward(gather, residuals, g):
    return _by_platform(_backward, _tpu_backward, gather, *residuals, g)


_convolve.defvjp(_convolve_forward, _convolve_backward)


def _rows(x, groups):
    """Pad by one pixel before and two after, and lay out as rows: `[B·(H+3)·(W+3)·G, C/G]`.

    The rows' width is padded to a multiple of 8, a vector register's, since odd widths are gathered slowly.
    """
    x = jnp.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0)))
    x = x.reshape(-1, x.shape[-1] // groups)
    return jnp.pad(x, ((0, 0), (0, -x.shape[1] % 8)))


def _matrix(kernel, groups):
    """The kernel as `[G·k·k·c, K]`, in the order and with the padded width c of the sampled rows."""
    size, _, channels, features = kernel.shape
    matrix = kernel.reshape(size * size, groups, channels // groups, features).transpose(1, 0, 2, 3)
    matrix = jnp.pad(matrix, ((0, 0), (0, 0), (0, -matrix.shape[2] % 8), (0, 0)))
    return matrix.reshape(-1, features)


def _kernel(matrix, shape, groups):
    """The inverse of `_matrix`."""
    size, _, channels, features = shape
    matrix = matrix.reshape(groups, size * size, -1, features)[:, :, : channels // groups]
    return matrix.transpose(1, 0, 2, 3).reshape(shape)


class _Strips:
    """Cuts what belongs to the pixels of a batch into strips, and puts results together again."""

    def __init__(self, x, groups, taps, strip_bytes):
        self.shape = x.shape
        self.pixels = x.shape[0] * x.shape[1] * x.shape[2]
        width = x.shape[3] // groups
        fit = strip_bytes // (groups * taps * (width + -width % 8) * 4)
        self.length = max(fit, 1)
        if isinstance(self.pixels, int):  # and not a symbol, in an exported program for all sizes
            least = -(-self.pixels // self.length)
            even = (count for count in range(least, 2 * least + 1) if self.pixels % count == 0)
            self.length = -(-self.pixels // next(even, least))  # an even division needs no padded copy
        self.count = -(-self.pixels // self.length)

    def cut(self, array):
        """`[B, H, W, …]` → `[strips, length, …]`, zeros at the end."""
        array = array.reshape(self.pixels, *array.shape[3:])
        padding = [(0, self.count * self.length - self.pixels)] + [(0, 0)] * (array.ndim - 1)
        return jnp.pad(array, padding).reshape(self.count, self.length, *array.shape[1:])

    def join(self, array):
        """`[strips, length, …]` → `[B, H, W, …]`."""
        return array.reshape(-1, *array.shape[2:])[: self.pixels].reshape(*self.shape[:3], *array.shape[2:])

    def positions(self):
        """Batch index, row and column of each pixel: three `[strips, length]`; past the end, the last pixel's."""
        index = jnp.minimum(jnp.arange(self.count * self.length), self.pixels - 1).reshape(self.count, self.length)
        _, height, width, _ = self.shape
        return index // (height * width), index // width % height, index % width


def _samples(position, offset, shape, size):
    """Where the samples of some pixels lie.

    Args:
      position: (batch index, row, column), `[P]` each.
      offset: `[P, G, k·k, 2]`, float32.
      shape: of the image, `[B, H, W, C]`.
      size: k.

    Returns, each `[P·G·k·k, 1]`:
      index: the row (`_rows`) of each sample's top left corner.
      fraction: (down, right), how far the sample lies beyond it.
      inside: (rows, columns), 0 where the sample is so far out that moving it changes nothing.
    """
    image, row, column = position
    _, height, width, _ = shape
    groups = offset.shape[1]
    tap = np.arange(size * size)
    y, down, y_inside = _cell(row[:, None, None] + (tap // size - size // 2) + offset[..., 0], height)
    x, right, x_inside = _cell(column[:, None, None] + (tap % size - size // 2) + offset[..., 1], width)
    index = (image[:, None, None] * (height + 3) + y) * (width + 3) + x
    index = index * groups + np.arange(groups)[:, None]
    index, fraction = jax.tree.map(lambda a: a.reshape(-1, 1), laid_down_on_cpu((index, (down, right))))
    return index, fraction, (y_inside.reshape(-1, 1), x_inside.reshape(-1, 1))


def _cell(at, size):
    """A coordinate's cell in the padded image, how far it lies into the cell, and whether moving it matters."""
    inside = (at >= -1) & (at <= size)
    at = jnp.where(at >= -1, jnp.minimum(at, size), -1)  # NaN becomes −1, a row of zeros: indices stay in bounds
    corner = jnp.floor(at)
    return corner.astype(jnp.int32) + 1, at - corner, inside


def _neighbours(rows, index, groups, width):
    """The four corners of each sample, `[N, c]` each: top left, top right, bottom left, bottom right."""
    numbers = lax.GatherDimensionNumbers(offset_dims=(0,), collapsed_slice_dims=(0,), start_index_map=(0,))

    @jax.vmap
    def row(start):
        return lax.gather(rows, start, numbers, (1, rows.shape[1]), mode="promise_in_bounds")

    return [row(index + shift) for shift in _shifts(groups, width)]


def _shifts(groups, width):
    return 0, groups, (width + 3) * groups, (width + 4) * groups


def _weights(fraction):
    """Bilinear weights of the four corners, `[N, 1]` each."""
    down, right = fraction
    return (1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right


def _blend(corners, weights):
    """Σ weight · corner, in float32: `[N, c]`."""
    terms = [w * c.astype(jnp.float32) for w, c in zip(weights, corners, strict=True)]
    return (terms[0] + terms[1]) + (terms[2] + terms[3])


def _sum(array):
    """Over the last axis, kept: by halves, which XLA:CPU runs nine times as fast as a reduction of eight."""
    while array.shape[-1] % 2 == 0:
        half = array.shape[-1] // 2
        array = array[:, :half] + array[:, half:]
    return array.sum(-1, keepdims=True)


def _forward(x, offset, mask, kernel, *, strip_bytes):
    groups, taps = mask.shape[3:]
    rows, matrix = _rows(x, groups), widened(_matrix(kernel, groups), 1)
    strips = _Strips(x, groups, taps, strip_bytes)

    def strip(pixels):
        position, offset, mask = pixels
        offset, mask = offset.astype(jnp.float32), mask.astype(jnp.float32)
        index, fraction, _ = _samples(position, offset, x.shape, kernel.shape[0])
        masked = laid_down_on_cpu([w * mask.reshape(-1, 1) for w in _weights(fraction)])
        columns = laid_down_on_cpu(_blend(_neighbours(rows, index, groups, x.shape[2]), masked).astype(x.dtype))
        return (columns.reshape(len(offset), -1) @ matrix)[:, : kernel.shape[3]]

    return strips.join(lax.map(strip, (strips.positions(), strips.cut(offset), strips.cut(mask))))


def _backward(x, offset, mask, kernel, g, *, strip_bytes):
    groups, taps = mask.shape[3:]
    rows, matrix = _rows(x, groups), _matrix(kernel, groups).astype(jnp.float32)
    strips = _Strips(x, groups, taps, strip_bytes)

    def strip(gradients, pixels):
        d_rows, d_matrix = gradients
        position, offset, mask, g = pixels
        offset, mask, g = (array.astype(jnp.float32) for array in (offset, mask, g))
        index, fraction, inside = _samples(position, offset, x.shape, kernel.shape[0])
        weights = _weights(fraction)
        masked = laid_down_on_cpu([w * mask.reshape(-1, 1) for w in weights])
        corners = laid_down_on_cpu([c.astype(jnp.float32) for c in _neighbours(rows, index, groups, x.shape[2])])

        columns = laid_down_on_cpu(_blend(corners, masked))
        d_matrix = d_matrix + g.T @ columns.reshape(len(g), -1)  # the narrower one first: twice as fast

        d_columns = (g @ matrix.T).reshape(columns.shape)
        dots = laid_down_on_cpu([_sum(d_columns * corner) for corner in corners])
        terms = [w * dot for w, dot in zip(weights, dots, strict=True)]
        d_mask = sum(terms[1:], start=terms[0])
        top_left, top_right, bottom_left, bottom_right = dots
        down, right = fraction
        d_y = (1 - right) * (bottom_left - top_left) + right * (bottom_right - top_right)
        d_x = (1 - down) * (top_right - top_left) + down * (bottom_right - bottom_left)
        flat_mask = mask.reshape(-1, 1)
        d_offset = jnp.concatenate(
            laid_down_on_cpu([d_y * inside[0] * flat_mask, d_x * inside[1] * flat_mask]), axis=-1
        )
        for weight, shift in zip(masked, _shifts(groups, x.shape[2]), strict=True):
            at = (index + shift)[:, 0]
            d_rows = d_rows.at[at].add(weight * d_columns, mode="promise_in_bounds", wrap_negative_indices=False)
        return (d_rows, d_matrix), (d_offset.reshape(offset.shape), d_mask.reshape(mask.shape))

    zeros = jnp.zeros(rows.shape, jnp.float32), jnp.zeros(matrix.shape[::-1], jnp.float32)
    pixels = strips.positions(), strips.cut(offset), strips.cut(mask), strips.cut(g)
    (d_rows, d_matrix), (d_offset, d_mask) = lax.scan(strip, zeros, pixels)

    batch, height, width, channels = x.shape
    d_x = d_rows[:, : channels // groups].reshape(batch, height + 3, width + 3, channels)[:, 1:-2, 1:-2]
    return (
        d_x.astype(x.dtype),
        strips.join(d_offset).astype(offset.dtype),
        strips.join(d_mask).astype(mask.dtype),
        _kernel(d_matrix.T, kernel.shape, groups).astype(kernel.dtype),
    )
