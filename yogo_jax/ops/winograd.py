"""3×3 convolution with 36 multiplications for 16 results instead of 144: Winograd's F(4×4, 3×3), for CPUs.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. A product of polynomials follows from
its values at as many points as it has coefficients; transposed, that is a three-tap filter whose m neighbouring results
take m + 2 products instead of 3m, of sums of the inputs with sums of the taps:

    y = Aᵀ [(G w) ⊙ (Bᵀ x)],

where A and G evaluate at the points and B interpolates between them. Done along both axes, a 6×6 patch of x gives 4×4
results from 36 products; summed over channels, each of the 36 is one matrix product over all patches.

Points decide on the rounding: of 0, ±√½, ±√2 and ∞, no power of which is far from one, it is 1.7e-6 of the results'
scale with 64 channels, where the plain sum's is 0.8e-6. The sums cost memory traffic that few channels do not pay
back: `pays` is what was measured (docs/performance.md).
"""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from yogo_jax.ops.memory import laid_down

WHOLE_BYTES, STRIP_BYTES = 1 << 25, 1 << 23
"""Transformed patches and products up to the first are worked off at once, half as much in kernels' gradients; more of
them in strips of the second. Measured: what stays in a shared cache is fastest, but in strips XLA:CPU gives the
products to one thread."""


def _matrices(*points: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bᵀ `[m + 2, m + 2]`, G `[m + 2, 3]` and Aᵀ `[m, m + 2]`, of m + 1 points and ∞, the leading coefficient."""
    size = len(points) - 1
    b, g, a = np.zeros((size + 2, size + 2)), np.zeros((size + 2, 3)), np.zeros((size, size + 2))
    for i, point in enumerate(points):
        others = [other for other in points if other != point]
        b[i, :-1] = np.poly(others)[::-1]
        g[i] = point ** np.arange(3) / np.prod(np.subtract(point, others))
        a[:, i] = point ** np.arange(size)
    b[-1], g[-1, -1], a[-1, -1] = np.poly(points)[::-1], 1, 1
    return b.round(12), g, a


_B, _G, _A = _matrices(0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))
TILE = len(_A)


def pays(x: jax.Array, kernel: jax.Array) -> bool:
    """Whether the convolution of x `[B, H, W, C]` with kernel `[k, k, C, K]` is faster this way on a CPU."""
    if kernel.shape[:2] != (3, 3) or x.dtype != jnp.float32:
        return False
    channels, features = kernel.shape[2:]
    batch, height, width, _ = x.shape
    known = all(isinstance(side, int) for side in (batch, height, width))  # and no symbol of an exported program
    return known and min(channels, features) >= 32 and batch * height * width >= 256


def winograd(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x `[B, H, W, C]`, kernel `[3, 3, C, K]` → `[B, H, W, K]`, stride 1 and one zero around, float32."""
    batch, height, width, _ = x.shape
    rows = laid_down(jnp.stack(_times(_G, list(kernel))))
    transformed = _times(_G, [rows[:, i] for i in range(3)])  # G w Gᵀ, its columns
    strips = _Strips(x, kernel.shape[3], WHOLE_BYTES)
    x = strips.padded(x, around=1)

    def put(at: jax.Array, y: jax.Array) -> jax.Array:
        for i, rows in enumerate(_results(strips.cut(x, at, around=1), transformed)):
            start = at // strips.count, strips.rows * (at % strips.count), i, 0, 0
            y = lax.dynamic_update_slice(y, rows[:, :, None], start)
        return y

    if strips.needed:
        shape = batch, strips.rows * strips.count, TILE, TILE * strips.columns, kernel.shape[3]
        y = lax.fori_loop(0, batch * strips.count, put, jnp.zeros(shape, x.dtype))
    else:
        y = jnp.stack(_results(x, transformed), axis=2)
    return y.reshape(batch, -1, *y.shape[-2:])[:, :height, :width]


def winograd_kernel_gradient(x: jax.Array, g: jax.Array) -> jax.Array:
    """∂w `[3, 3, C, K]` of `winograd(x, w)`, where g `[B, H, W, K]` is the gradient of its result.

    The transpose of the same three steps: the 36 products are of x's patches with A g Aᵀ, over all patches.
    """
    strips = _Strips(x, g.shape[3], WHOLE_BYTES // 2)
    x, g = strips.padded(x, around=1), strips.padded(g, around=0)

    def products(x: jax.Array, g: jax.Array) -> jax.Array:
        over_patches = (((1,), (1,)), ((0,), (0,)))
        columns = zip(_patches(x, _B), _patches(g, _A.T), strict=True)
        return jnp.stack([lax.dot_general(a, b, over_patches) for a, b in columns], axis=1)

    def add(at: jax.Array, total: jax.Array) -> jax.Array:
        return total + products(strips.cut(x, at, around=1), strips.cut(g, at, around=0))

    if strips.needed:
        total = lax.fori_loop(0, len(x) * strips.count, add, jnp.zeros((*_B.shape, x.shape[3], g.shape[3]), x.dtype))
    else:
        total = products(x, g)
    both = jnp.asarray(np.kron(_G, _G).T, x.dtype)  # as one product: XLA:CPU is slow with Gᵀ total G
    return (both @ total.reshape(_B.size, -1)).reshape(3, 3, *total.shape[2:])


class _Strips:
    """Cuts images into strips of a few rows of patches, where one piece would be too large for the cache."""

    def __init__(self, x: jax.Array, features: int, whole: int):
        batch, height, width, channels = x.shape
        patches, self.columns = -(-height // TILE), -(-width // TILE)
        row = _B.size * self.columns * (channels + features) * 4
        self.needed = batch * patches * row > whole
        least = -(-patches * row // STRIP_BYTES) if self.needed else 1
        even = (count for count in range(least, 2 * least + 1) if patches % count == 0)
        self.rows = -(-patches // next(even, least))  # an even division needs no copy of the results
        self.count = -(-patches // self.rows)

    def padded(self, x: jax.Array, around: int) -> jax.Array:
        """Zeros around, and up to whole strips and patches."""
        height, width = TILE * self.rows * self.count, TILE * self.columns
        ends = [(around, size + around - own) for size, own in zip((height, width), x.shape[1:3], strict=True)]
        return jnp.pad(x, [(0, 0), *ends, (0, 0)])

    def cut(self, x: jax.Array, at: jax.Array, around: int) -> jax.Array:
        """One strip of one example, with what is `around` it: `[1, 4·rows + 2·around, W, C]`."""
        start = at // self.count, TILE * self.rows * (at % self.count), 0, 0
        return laid_down(lax.dynamic_slice(x, start, (1, TILE * self.rows + 2 * around, *x.shape[2:])))


def _results(x: jax.Array, kernel: list[jax.Array]) -> list[jax.Array]:
    """x `[B, 4h + 2, 4w + 2, C]`, transformed kernel → the four rows of the patches' results, `[B, h, 4w, K]` each."""
    batch, height, width = x.shape[0], x.shape[1] // TILE, x.shape[2] // TILE * TILE
    over_channels = (((2,), (1,)), ((0,), (0,)))
    products = [lax.dot_general(a, b, over_channels) for a, b in zip(_patches(x, _B), kernel, strict=True)]
    columns = laid_down(jnp.stack(_times(_A, products), axis=2))
    return [row.reshape(batch, height, width, -1) for row in _times(_A, list(columns))]


def _patches(x: jax.Array, matrix: np.ndarray) -> list[jax.Array]:
    """M p Mᵀ of each patch p of x, patches four apart, with M `[6, n]`: six columns of `[6, B·h·w, C]`."""
    size = matrix.shape[1]
    height, width = x.shape[1] - size + TILE, x.shape[2] - size + TILE
    rows = laid_down(jnp.stack(_times(matrix, [x[:, i : i + height : TILE] for i in range(size)])))
    columns = _times(matrix, [rows[:, :, :, i : i + width : TILE] for i in range(size)])
    return [column.reshape(len(matrix), -1, x.shape[3]) for column in columns]


def _times(matrix: np.ndarray, x: list[jax.Array]) -> list[jax.Array]:
    """The matrix times a column of arrays; its zeros take no time."""
    rows = [[float(factor) * entry for factor, entry in zip(row, x, strict=True) if factor] for row in matrix]
    return [functools.reduce(operator.add, row) for row in rows]
