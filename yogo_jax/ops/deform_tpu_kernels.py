"""The kernels of `deform_tpu`, for one tile of pixels: the values, and all gradients.

Names of arrays here are of references into VMEM, except for `image` and `d_image`, which stay in HBM. Rows of samples
are in the order (group, tap), and those of places (y, x, y, x, …).
"""

import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

COLUMNS = 128
"""Columns of a block and pixels of a tile: the lanes of the vector unit, and the depth of the matrix unit."""

FAR = 1e9


def _place(plan, points, offset, corners, fractions):
    """Lay down where the tile's samples lie: corners and fractions, in rows (y, x, y, x, …).

    Returns:
      blocks: first row, blocks downwards, first column, blocks to the right: all that the samples need.
      inside: `[2·samples, COLUMNS]`, zero where a sample is so far out that moving it changes nothing.
      valid: `[1, COLUMNS]`, the pixels that the image has.
    """
    lane = pl.program_id(2) * COLUMNS + lax.broadcasted_iota(jnp.int32, (1, COLUMNS), 1)
    row = jnp.floor((lane.astype(jnp.float32) + 0.5) / plan.width)
    column = lane.astype(jnp.float32) - row * plan.width
    row = row + (pl.program_id(1) * plan.together).astype(jnp.float32)
    valid = lane < plan.lanes

    along_x = points[:, 1:] > 0
    size = jnp.where(along_x, float(plan.width), float(plan.height))
    at = jnp.where(along_x, column, row) + points[:, :1] + offset[...].astype(jnp.float32)
    near = jnp.where(at >= -1, jnp.minimum(at, size), -1.0)  # NaN becomes −1, where all is zero
    corner = jnp.floor(near)
    corners[...] = corner
    fractions[...] = near - corner

    needed = (at >= -1) & (at < size) & valid
    low = jnp.where(needed, jnp.maximum(corner, 0.0), FAR)
    high = jnp.where(needed, jnp.minimum(corner + 1, size - 1), -1.0)

    def span(mine, align, length):
        first = jnp.min(jnp.where(mine, low, FAR)).astype(jnp.int32)
        first = lax.div(first, align) * align
        last = jnp.max(jnp.where(mine, high, -1.0)).astype(jnp.int32)
        return first, lax.div(jnp.maximum(last - first + length, 0), length)

    blocks = *span(~along_x, 1, plan.rows), *span(along_x, COLUMNS, COLUMNS)
    return blocks, jnp.where((at >= -1) & (at <= size), 1.0, 0.0), valid


def _over_blocks(plan, blocks, image, window, parts, work):
    """Copy one block of the image after the other, and call `work(first row, first column, where)` on each."""
    first_row, down, first_column, right = blocks
    example = pl.program_id(0)

    def block(index, carry):
        row = first_row + lax.div(index, right) * plan.rows
        column = pl.multiple_of(first_column + lax.rem(index, right) * COLUMNS, COLUMNS)
        where = example, pl.ds(row, plan.rows), slice(None), pl.ds(column, COLUMNS)
        pltpu.sync_copy(image.at[where], window)
        for g in range(plan.groups):
            channels = window[:, plan.group(g), :].astype(jnp.float32).reshape(-1, COLUMNS)
            for part, values in enumerate(_split(channels, plan.parts)):
                parts[g, pl.ds(part * len(values), len(values)), :] = values
        work(row, column, where)
        return carry

    lax.fori_loop(0, down * right, block, 0)


def _split(x, parts):
    """A float32 array as bfloat16 arrays: three of them add up to it exactly."""
    for _ in range(parts - 1):
        bits = lax.bitcast_convert_type(x, jnp.int32) & -65536  # the upper half is a bfloat16
        upper = lax.bitcast_convert_type(bits, jnp.float32)
        yield upper.astype(jnp.bfloat16)
        x = x - upper
    yield x.astype(jnp.bfloat16)


def _over_samples(plan, work):
    def group(g, carry):
        return lax.fori_loop(0, plan.taps, lambda k, carry: work(g, g * plan.taps + k), carry)

    lax.fori_loop(0, plan.groups, group, None)


def _product(a, b, axis_a, axis_b):
    """Of two matrices of one dtype, exact but for the rounding of sums in float32, whatever the user's precision."""
    precision = lax.Precision.HIGHEST if a.dtype == jnp.float32 else lax.Precision.DEFAULT
    numbers = ((axis_a,), (axis_b,)), ((), ())
    return lax.dot_general(a, b, numbers, precision, preferred_element_type=jnp.float32)


class _Sample:
    """Sample s of each of the tile's pixels, of group g, in one block of the image.

    Attributes:
      rows: where the sample's channels lie among all columns.
      mask, down, right: `[1, COLUMNS]`, how far it lies beyond its corner, and its factor.
      left_row, right_row: `[rows, c, COLUMNS]`, its two neighbours in each of the block's rows.
      pick: `[COLUMNS, 2·COLUMNS]`, the matrix of zeros and ones that picked them.
      upper, lower: `[rows, c, COLUMNS]`, whether a row is the one above it, or the one below.
      weight: `[rows, c, COLUMNS]`, of the rows.
    """

    def __init__(self, plan, g, s, row, column, corners, fractions, masks, parts):
        y, x = pl.ds(2 * s, 1), pl.ds(2 * s + 1, 1)
        self.rows = pl.ds(pl.multiple_of(s * plan.depth, 8), plan.depth)
        self.mask, self.down, self.right = masks[pl.ds(s, 1), :], fractions[y, :], fractions[x, :]

        left = corners[x, :] - column.astype(jnp.float32)
        index = lax.broadcasted_iota(jnp.int32, (COLUMNS, COLUMNS), 0).astype(jnp.float32)
        pick = [jnp.where(index == left + side, 1.0, 0.0) for side in (0, 1)]
        self.pick = jnp.concatenate(pick, axis=1).astype(jnp.bfloat16)
        found = _product(parts[g], self.pick, 1, 0).reshape(plan.parts, plan.rows, plan.depth, 2 * COLUMNS)
        found = sum((found[part] for part in range(1, plan.parts)), start=found[0])
        self.left_row, self.right_row = found[..., :COLUMNS], found[..., COLUMNS:]

        above = (corners[y, :] - row.astype(jnp.float32))[None]
        index = lax.broadcasted_iota(jnp.int32, (plan.rows, plan.depth, COLUMNS), 0).astype(jnp.float32)
        self.upper, self.lower = index == above, index == above + 1
        self.weight = self.by_row(1 - self.down, self.down)

    def by_row(self, upper, lower):
        return jnp.where(self.upper, upper, jnp.where(self.lower, lower, 0.0))

    def across(self, left, right):
        """The blend of a left and a right neighbour."""
        return left * (1 - self.right) + right * self.right


def forward_kernel(
    plan, points, offset, mask, matrix, image, y, corners, fractions, masks, columns, window, parts
):  # fmt: skip
    """y: `[K, COLUMNS]`."""
    blocks, *_ = _place(plan, points, offset, corners, fractions)
    masks[...] = mask[...].astype(jnp.float32)
    columns[...] = jnp.zeros_like(columns)

    def block(row, column, where):
        def sample(g, s):
            at = _Sample(plan, g, s, row, column, corners, fractions, masks, parts)
            columns[at.rows, :] += at.mask * (at.weight * at.across(at.left_row, at.right_row)).sum(axis=0)

        _over_samples(plan, sample)

    _over_blocks(plan, blocks, image, window, parts, block)
    y[...] = _product(matrix[...], columns[...].astype(matrix.dtype), 1, 0).astype(y.dtype)


def backward_kernel(
    plan, points, offset, mask, matrix, image, g, _, d_image, d_offset, d_mask, d_matrix,
    corners, fractions, masks, columns, window, parts, d_columns, d_offsets, d_masks, d_block, d_window,
):  # fmt: skip
    """g: `[K, COLUMNS]`. d_image adds up over the tiles of an example, in HBM, and d_matrix in VMEM."""
    blocks, inside, valid = _place(plan, points, offset, corners, fractions)
    masks[...] = jnp.where(valid, mask[...].astype(jnp.float32), 0.0)
    g = jnp.where(valid, g[...].astype(jnp.float32), 0.0).astype(matrix.dtype)
    d_columns[...] = _product(matrix[...], g, 0, 0)
    for total in (columns, d_offsets, d_masks):
        total[...] = jnp.zeros_like(total)

    def block(row, column, where):
        d_block[...] = jnp.zeros_like(d_block)

        def sample(g, s):
            at = _Sample(plan, g, s, row, column, corners, fractions, masks, parts)
            left, right = (at.weight * at.left_row).sum(axis=0), (at.weight * at.right_row).sum(axis=0)
            slope = at.by_row(jnp.full_like(at.down, -1.0), jnp.full_like(at.down, 1.0))
            down = (slope * at.across(at.left_row, at.right_row)).sum(axis=0)
            d_column = d_columns[at.rows, :]

            columns[at.rows, :] += at.mask * at.across(left, right)
            for total, row_of_it, slopes in (
                (d_masks, s, at.across(left, right)),
                (d_offsets, 2 * s, at.mask * down),
                (d_offsets, 2 * s + 1, at.mask * (right - left)),
            ):
                total[pl.ds(row_of_it, 1), :] += (d_column * slopes).sum(axis=0, keepdims=True)
            spread = (at.weight * (at.mask * d_column)[None]).reshape(-1, COLUMNS)
            spread = jnp.concatenate([spread * (1 - at.right), spread * at.right], axis=1)
            for part in _split(spread, plan.parts):
                d_block[g] += _product(part, at.pick, 1, 1)

        _over_samples(plan, sample)
        pltpu.sync_copy(d_image.at[where], d_window)
        for group in range(plan.groups):
            d_window[:, plan.group(group), :] += d_block[group].reshape(plan.rows, plan.depth, COLUMNS)
        pltpu.sync_copy(d_window, d_image.at[where])

    _over_blocks(plan, blocks, image, window, parts, block)
    d_offset[...] = (inside * d_offsets[...]).astype(d_offset.dtype)
    d_mask[...] = d_masks[...].astype(d_mask.dtype)

    @pl.when((pl.program_id(1) == 0) & (pl.program_id(2) == 0))
    def _():
        d_matrix[...] = jnp.zeros_like(d_matrix)

    d_matrix[...] += _product(g, columns[...].astype(matrix.dtype), 1, 1)
