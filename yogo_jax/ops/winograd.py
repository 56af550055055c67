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
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from yogo_jax.devices import spare_cores
from yogo_jax.ops.memory import laid_down, zeros_of_its_own
from yogo_jax.ops.products import outer, widened

WHOLE_BYTES, STRIP_BYTES = 1 << 25, 1 << 23
"""Transformed patches and products up to the first are worked off at once, half as much in gradients; more of them in
strips of the second. Measured: what stays in a shared cache is fastest, but in strips XLA:CPU gives the products to one
thread."""
WHOLE_KERNELS, STRIP_KERNELS = 8, 4
"""The two in sizes of the transformed kernel, where each core has a device of its own, and no thread is there to share
with; in gradients the same. Measured: what stays in a core's own cache is fastest, but each strip reads the kernel anew
and adds to its gradient."""


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
    return b, g, a


_B, _G, _A = _matrices(0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))
_PAIRS = np.eye(len(_B))
_PAIRS[1:3, 1:3] = _PAIRS[3:5, 3:5] = [[1, 1], [1, -1]]  # sums and differences of points ±p
_HALVES = np.linalg.inv(_PAIRS)
_G_BOTH = np.einsum("jx,iy->jiyx", _G, _G).reshape(_B.size, -1)  # what makes G w Gᵀ of w, column after column
TILE = len(_A)

Halves = list[jax.Array]
"""The 36 values of each patch, column after column, in two arrays of 18: what is made of each half, a thread can make
while another is at the other half, and more parts take longer to compile, and to load."""


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
    widest = widened(kernel, 3)
    transformed = _transformed(widest)
    strips = _Strips(x, widest, WHOLE_BYTES)
    image, x = x, strips.padded(x, around=1)

    def put(at: jax.Array, y: jax.Array) -> jax.Array:
        for i, rows in enumerate(_results(strips.cut(x, at, around=1), transformed, kernel.shape[3])):
            start = lax.div(at, strips.count), strips.rows * lax.rem(at, strips.count), i, 0, 0
            y = lax.dynamic_update_slice(y, rows[:, :, None], start)
        return y

    if strips.needed:
        shape = batch, strips.rows * strips.count, TILE, TILE * strips.columns, kernel.shape[3]
        y = lax.fori_loop(0, batch * strips.count, put, zeros_of_its_own(image, shape))
    else:
        y = jnp.stack(_results(x, transformed, kernel.shape[3]), axis=2)
    return y.reshape(batch, -1, *y.shape[-2:])[:, :height, :width]


def winograd_gradients(x: jax.Array, kernel: jax.Array, g: jax.Array) -> tuple[jax.Array, jax.Array]:
    """∂x and ∂w of `winograd(x, w)`, where g `[B, H, W, K]` is the gradient of its result.

    The three steps of y = Aᵀ [(G w) ⊙ (Bᵀ x)], transposed: ∂x = B [(G w) ⊙ (A g)] and ∂w = Gᵀ [(A g) ⊙ (Bᵀ x)]. Both
    start from the same A g Aᵀ; ∂x is the sum of patches that overlap.
    """
    batch, height, width, channels = x.shape
    widest = widened(kernel, 2)
    transformed = _transformed(widest)
    strips = _Strips(x, widest, WHOLE_BYTES // 2)
    x, g = strips.padded(x, around=1), strips.padded(g, around=0)
    beside = TILE if strips.count > 1 else 0  # rows next to a strip that its patches reach into

    def add(at: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        of_x, of_w = _gradients(strips.cut(x, at, around=1), transformed, strips.cut(g, at, around=0), beside)
        start = lax.div(at, strips.count), TILE * strips.rows * lax.rem(at, strips.count), 0, 0
        there = lax.dynamic_slice(sums[0], start, of_x.shape)
        return lax.dynamic_update_slice(sums[0], there + of_x, start), sums[1] + of_w

    if strips.needed:
        shape = batch, g.shape[1] + 2 * beside, g.shape[2], channels
        zeros = zeros_of_its_own(g, shape), jnp.zeros((_B.size, *sorted((channels, g.shape[3]))), x.dtype)
        of_x, of_w = lax.fori_loop(0, batch * strips.count, add, zeros)
    else:
        of_x, of_w = _gradients(x, transformed, g, beside)
    of_w = outer(jnp.asarray(_G_BOTH, x.dtype), of_w.reshape(_B.size, -1)).reshape(3, 3, *of_w.shape[1:])
    of_w = of_w if channels <= g.shape[3] else jnp.swapaxes(of_w, 2, 3)
    return of_x[:, beside : beside + height, :width], of_w


class _Strips:
    """Cuts images into strips of a few rows of patches, where one piece would be too large for the cache."""

    def __init__(self, x: jax.Array, kernel: jax.Array, whole: int):
        """More than `whole` bytes of patches and products are cut, or `WHOLE_KERNELS` where no core is spare."""
        batch, height, width, _ = x.shape
        patches, self.columns = -(-height // TILE), -(-width // TILE)
        row = _B.size * self.columns * sum(kernel.shape[2:]) * 4
        strip = STRIP_BYTES
        if not spare_cores():
            size = _B.size * math.prod(kernel.shape[2:]) * 4
            whole, strip = WHOLE_KERNELS * size, max(1, STRIP_KERNELS * size)
        self.needed = batch * patches * row > whole
        least = -(-patches * row // strip) if self.needed else 1
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
        start = lax.div(at, self.count), TILE * self.rows * lax.rem(at, self.count), 0, 0
        return laid_down(lax.dynamic_slice(x, start, (1, TILE * self.rows + 2 * around, *x.shape[2:])))


def _results(x: jax.Array, kernel: Halves, features: int) -> list[jax.Array]:
    """x `[B, 4h + 2, 4w + 2, C]`, transformed kernel of `features`, K, or more of them
    (`widened`) → the four rows of the patches' results, `[B, h, 4w, K]` each."""
    batch, height, width = x.shape[0], x.shape[1] // TILE, x.shape[2] // TILE * TILE
    products = _columns(_products(_patches(x, _B), kernel, over=(2, 1)), features)
    columns = laid_down(jnp.stack(_from_points(_A, products), axis=2))
    return [row.reshape(batch, height, width, -1) for row in _from_points(_A, list(columns))]


def _gradients(x: jax.Array, kernel: Halves, g: jax.Array, beside: int) -> tuple[jax.Array, jax.Array]:
    """x `[B, 4h + 2, 4w + 2, C]`, transformed kernel, g `[B, 4h, 4w, K]` → ∂x `[B, 4h + 2·beside, 4w, C]`, and ∂w
    before its last step, `[36, C, K]`, or `[36, K, C]` if K < C: the narrower one first is up to twice as fast."""
    batch, height, width = g.shape[0], g.shape[1] // TILE, g.shape[2] // TILE
    of_x, of_g = _patches(x, _B), _patches(g, _A.T)
    of_w = jnp.concatenate(_products(*sorted((of_x, of_g), key=lambda halves: halves[0].shape[2]), over=(1, 1)))
    products = _columns(_products(of_g, kernel, over=(2, 2)), x.shape[3])
    products = [column.reshape(-1, batch, height, width, x.shape[3]) for column in products]
    columns = laid_down(jnp.stack(_overlapped(_from_points(_B.T, products), axis=3), axis=4))
    columns = jnp.pad(columns, [(0, 0), (0, 0), (beside // TILE, beside // TILE), (0, 0), (0, 0), (0, 0)])
    rows = jnp.stack(_overlapped(_from_points(_B.T, list(columns)), axis=1), axis=2)
    return rows.reshape(batch, height * TILE + 2 * beside, width * TILE, -1), of_w


def _overlapped(x: list[jax.Array], axis: int) -> list[jax.Array]:
    """Six values of each patch along an axis, patches four apart → the four sums from its second place on."""

    def moved(x: jax.Array, by: int) -> jax.Array:
        ends = [(by, -by, 0) if at == axis else (0, 0, 0) for at in range(x.ndim)]
        return lax.pad(x, jnp.zeros((), x.dtype), ends)

    first, second, third, fourth, fifth, sixth = x
    return [second + moved(sixth, 1), third, fourth, fifth + moved(first, -1)]


def _transformed(kernel: jax.Array) -> Halves:
    """G w Gᵀ of a kernel `[3, 3, C, K]`: two `[18, C, K]`.

    By `outer`, as the last step of ∂w is: products that contract their first axes are not YNNPACK's, each of which
    XLA:CPU searches the whole program for when it loads a kept one. These take as long either way.
    """
    flat, halves = kernel.reshape(_G_BOTH.shape[1], -1), jnp.split(jnp.asarray(_G_BOTH, kernel.dtype), 2)
    return [outer(half.T, flat).reshape(-1, *kernel.shape[2:]) for half in halves]


def _patches(x: jax.Array, matrix: np.ndarray) -> Halves:
    """M p Mᵀ of each patch p of x, patches four apart, with M `[6, n]`: two `[18, B·h·w, C]`."""
    size = matrix.shape[1]
    height, width = x.shape[1] - size + TILE, x.shape[2] - size + TILE
    rows = laid_down(jnp.stack(_at_points(matrix, [x[:, i : i + height : TILE] for i in range(size)])))
    columns = _at_points(matrix, [rows[:, :, :, i : i + width : TILE] for i in range(size)])
    return [jnp.stack(half).reshape(_B.size // 2, -1, x.shape[3]) for half in (columns[:3], columns[3:])]


def _products(a: Halves, b: Halves, over: tuple[int, int]) -> Halves:
    """Matrix products, 18 in each half, summed over an axis of a and one of b."""
    dimensions = ((over[:1], over[1:]), ((0,), (0,)))
    return [lax.dot_general(*pair, dimensions) for pair in zip(a, b, strict=True)]


def _columns(halves: Halves, channels: int) -> list[jax.Array]:
    """Two `[18, P, C]` → six `[6, P, channels]`, without what `widened` added."""
    return [column[..., :channels] for half in halves for column in half.reshape(-1, len(_B), *half.shape[1:])]


def _at_points(matrix: np.ndarray, x: list[jax.Array]) -> list[jax.Array]:
    """The matrix, whose rows are the points', times a column of arrays: p and −p share their even and odd parts."""
    return _times(_PAIRS, _times(_HALVES @ matrix, x))


def _from_points(matrix: np.ndarray, x: list[jax.Array]) -> list[jax.Array]:
    """The same where the matrix's columns are the points'."""
    return _times(matrix @ _HALVES, _times(_PAIRS, x))


def _times(matrix: np.ndarray, x: list[jax.Array]) -> list[jax.Array]:
    """The matrix times a column of arrays; its zeros and ones take no time."""
    rows = [
        [entry if factor == 1 else float(factor) * entry for factor, entry in zip(row, x, strict=True) if factor]
        for row in matrix.round(12)
    ]
    return [functools.reduce(operator.add, row) for row in rows]
