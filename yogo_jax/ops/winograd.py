"""3×3 convolution with 16 multiplications for four results instead of 36: Winograd's F(2×2, 3×3), for CPUs.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. Two neighbouring results of a
three-tap filter take six products; written as

    y = Aᵀ [(G w) ⊙ (Bᵀ x)],   Bᵀ = 1  0 −1  0     G = 1  0  0     Aᵀ = 1  1  1  0
                                    0  1  1  0         ½  ½  ½          0  1 −1 −1
                                    0 −1  1  0         ½ −½  ½
                                    0  1  0 −1         0  0  1

they take four, of sums of the four inputs with sums of the taps. Done along both axes, a 4×4 patch of x gives 2×2
results from 16 products; summed over channels, each of the 16 is one matrix product over all patches. Rounding
stays that of the plain sum: every entry of the matrices is 0, ±1 or ±½.

The sums cost memory traffic that few channels do not pay back: `pays` is what was measured (docs/performance.md).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from yogo_jax.ops.memory import laid_down

_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)

WHOLE_BYTES, STRIP_BYTES = 1 << 25, 1 << 24
"""Transformed patches and products up to the first are worked off at once, more of them in strips of the second
(measured): small enough for a shared cache, and long enough for products that XLA:CPU gives to several threads, which
begin at some thousand patches."""


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
    transformed = _transformed(kernel)
    strips = _Strips(x, kernel.shape[3])
    x = _padded(x, strips)
    if strips.needed:
        y = lax.map(lambda at: _results(strips.cut(x, at, around=2), transformed)[0], strips.positions(batch))
    else:
        y = _results(x, transformed)
    return y.reshape(batch, -1, *y.shape[-2:])[:, :height, :width]


def winograd_kernel_gradient(x: jax.Array, g: jax.Array) -> jax.Array:
    """∂w `[3, 3, C, K]` of `winograd(x, w)`, where g `[B, H, W, K]` is the gradient of its result.

    The transpose of the same three steps: the 16 products are of x's patches with A g Aᵀ, over all patches.
    """
    batch, height, _, features = g.shape
    strips = _Strips(x, features)
    x = _padded(x, strips)
    g = jnp.pad(g, ((0, 0), (0, 2 * strips.rows * strips.count - height), (0, 0), (0, 0)))

    def products(x: jax.Array, g: jax.Array) -> jax.Array:
        over_patches = (((1,), (1,)), ((0,), (0,)))
        rows = zip(_patches(x), _spread(g), strict=True)
        return jnp.stack([lax.dot_general(a, b, over_patches) for a, b in rows])

    def add(total: jax.Array, at: jax.Array) -> tuple[jax.Array, None]:
        return total + products(strips.cut(x, at, around=2), strips.cut(g, at, around=0)), None

    if strips.needed:
        total, _ = lax.scan(add, jnp.zeros((4, 4, x.shape[3], features), x.dtype), strips.positions(batch))
    else:
        total = products(x, g)
    return jnp.einsum("ia,jb,ijck->abck", _G, _G, total)


class _Strips:
    """Cuts padded images into strips of a few rows of patches, where one piece would be too large for the cache."""

    def __init__(self, x: jax.Array, features: int):
        batch, height, width, channels = x.shape
        patches = -(-height // 2)
        row = 16 * -(-width // 2) * (channels + features) * 4
        self.needed = batch * patches * row > WHOLE_BYTES
        least = -(-patches * row // STRIP_BYTES) if self.needed else 1
        self.rows = -(-patches // least)
        self.count = -(-patches // self.rows)

    def positions(self, batch: int) -> jax.Array:
        return jnp.arange(batch * self.count)

    def cut(self, x: jax.Array, at: jax.Array, around: int) -> jax.Array:
        """One strip of one example, with rows `around` it: `[1, 2·rows + around, W, C]`."""
        start = at // self.count, 2 * self.rows * (at % self.count), 0, 0
        return laid_down(lax.dynamic_slice(x, start, (1, 2 * self.rows + around, *x.shape[2:])))


def _padded(x: jax.Array, strips: _Strips) -> jax.Array:
    """Zeros above and below, up to whole strips."""
    return jnp.pad(x, ((0, 0), (1, 2 * strips.rows * strips.count + 1 - x.shape[1]), (0, 0), (0, 0)))


def _transformed(kernel: jax.Array) -> list[jax.Array]:
    """G w Gᵀ of the kernel `[3, 3, C, K]`: four rows of `[4, C, K]`."""

    def sums(taps: list[jax.Array]) -> list[jax.Array]:
        outer, middle = (taps[0] + taps[2]) / 2, taps[1] / 2
        return [taps[0], outer + middle, outer - middle, taps[2]]

    return [jnp.stack(sums(list(row))) for row in sums(list(kernel))]


def _results(x: jax.Array, kernel: list[jax.Array]) -> jax.Array:
    """Padded x `[B, 2h + 2, W, C]`, transformed kernel → `[B, 2h, W rounded up to even, K]`."""
    batch, height, width, _ = x.shape
    height, width = height - 2, width + width % 2
    over_channels = (((2,), (1,)), ((0,), (0,)))
    products = [lax.dot_general(a, b, over_channels) for a, b in zip(_patches(x), kernel, strict=True)]
    columns = [_down(*(row[i] for row in products)) for i in range(4)]  # for each column of a patch, its two results
    rows = [jnp.stack(_down(*(column[i] for column in columns)), axis=1) for i in range(2)]
    rows = [row.reshape(batch, height // 2, width, -1) for row in rows]
    return jnp.stack(rows, axis=2).reshape(batch, height, width, -1)


def _down(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Aᵀ"""
    return a + b + c, b - c - d


def _patches(x: jax.Array) -> list[jax.Array]:
    """Bᵀ x B of each 4×4 patch, patches two apart: four rows of `[4, B·h·w, C]`."""
    width = x.shape[2]
    x = jnp.pad(x, ((0, 0), (0, 0), (1, 1 + width % 2), (0, 0)))
    height, width = x.shape[1] - 2, x.shape[2] - 2
    rows = _sums([x[:, i : i + height : 2] for i in range(4)])
    return [_beside(_sums([row[:, :, i : i + width : 2] for i in range(4)])) for row in rows]


def _sums(x: list[jax.Array]) -> list[jax.Array]:
    """Bᵀ"""
    return [x[0] - x[2], x[1] + x[2], x[2] - x[1], x[1] - x[3]]


def _spread(g: jax.Array) -> list[jax.Array]:
    """A g Aᵀ of each 2×2 patch: four rows of `[4, B·h·w, K]`."""
    g = jnp.pad(g, ((0, 0), (0, 0), (0, g.shape[2] % 2), (0, 0)))

    def spread(a: jax.Array, b: jax.Array) -> list[jax.Array]:
        return [a, a + b, a - b, -b]

    return [_beside(spread(row[:, :, ::2], row[:, :, 1::2])) for row in spread(g[:, ::2], g[:, 1::2])]


def _beside(entries: list[jax.Array]) -> jax.Array:
    return jnp.stack([entry.reshape(-1, entry.shape[-1]) for entry in entries])
