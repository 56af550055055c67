"""Images as the evaluation protocol sees them: bicubic resizing, luma, rounding, and the loss's targets.

Everything works on numpy arrays and on jax arrays (inside `jit` and `grad` as well) and gives back the kind
that it was given, so that training, evaluation and the command line share one bicubic. Images are
[..., H, W, C] in [0, 1]; uint8 images are read as 0..255 and become float32.

The bicubic is MATLAB's `imresize`: Keys' kernel with a = −½, stretched by the scale when shrinking
(antialiasing), half-pixel centres, edges mirrored with the edge pixel repeated. Scales are whole numbers,
so every tile of an image meets the same weights: along each axis NumPy and TPUs make a few products with one small
banded matrix, and other platforms, and programs for open sizes, weighted sums of shifted copies.
"""

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from yogo_jax.ops.memory import laid_down_on_cpu

SCALE = 4
"""Spatial scale of the network."""

Array = Any
"""A numpy or a jax array."""

_TILE = 32  # low-resolution pixels of one matrix product: few products for XLA to compile

# OpenBLAS spreads products of more than 2^18 multiply-adds over all cores and lets its threads spin there: beside
# a training step, or in several input threads, that is a hundred times slower than staying below.
_BLAS_TILE = 8
_BLAS_WORK = 2**18


def to_float(image: Array) -> Array:
    """uint8 0..255 → float32 0..1; floating-point images pass through as float32."""
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(f"an image is uint8 or floating-point, not {image.dtype}")
    return image.astype(np.float32)


def quantise(image: Array) -> Array:
    """[0, 1] → uint8: clamped, times 255, rounded.

    Exact halves go to the even neighbour (`np.round`); MATLAB's go up. A bicubic result hits one only by
    chance, and the published test codes round as we do.
    """
    xp = _namespace(image)
    return xp.round(xp.clip(to_float(image), 0, 1) * np.float32(255)).astype(np.uint8)


def rgb_to_y(image: Array) -> Array:
    """Luma of ITU-R BT.601 in its studio range, [..., 3] → [...], 16..235, float32, not rounded."""
    image = to_float(image)
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    return np.float32(16) + np.float32(65.481) * red + np.float32(128.553) * green + np.float32(24.966) * blue


def crop_to_multiple(image: Array, multiple: int = SCALE) -> Array:
    """Cut rows off the bottom and columns off the right until `multiple` divides both sides."""
    height, width = image.shape[-3:-1]
    return image[..., : height - height % multiple, : width - width % multiple, :]


def downscale(image: Array, scale: int = SCALE) -> Array:
    """Antialiased bicubic [..., H, W, C] → [..., H/scale, W/scale, C], float32, not clamped.

    Raises ValueError when `scale` does not divide H and W: crop first (`crop_to_multiple`).
    """
    height, width = image.shape[-3:-1]
    if height % scale or width % scale:
        raise ValueError(f"{width}x{height} does not divide by {scale}: crop it first")
    return _resize(image, source=scale, target=1)


def upscale(image: Array, scale: int = SCALE) -> Array:
    """Bicubic [..., H, W, C] → [..., scale·H, scale·W, C], float32, not clamped."""
    return _resize(image, source=1, target=scale)


def low_resolution(image: Array, scale: int = SCALE) -> Array:
    """The protocol's low-resolution frame: `downscale`, rounded to uint8."""
    return quantise(downscale(image, scale))


def structure_and_detail(image: Array) -> tuple[Array, Array]:
    """Targets of the structure and detail heads, both [..., H, W, C] like the ground truth (section 3.4).

    Structure is what bicubic ×¼ and then ×4 leave of the image; detail is the rest and has both signs.
    """
    image = to_float(image)
    structure = upscale(downscale(image))
    return structure, image - structure


def _namespace(array: Array) -> Any:
    return jnp if isinstance(array, jax.Array) else np


def _keys(x: np.ndarray) -> np.ndarray:
    """Keys' cubic kernel, a = −½ (Cubic convolution interpolation for digital image processing, 1981)."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@lru_cache
def _weights(source: int, target: int, tile: int) -> tuple[np.ndarray, int]:
    """Weights [tile·target, window] of a tile of `source`·tile pixels, and how far its window exceeds it."""
    stretch = max(source // target, 1)  # shrinking widens the kernel: antialiasing
    reach = 2 * stretch
    position = np.arange(-reach, tile * source + reach) + 0.5
    centre = (np.arange(tile * target) + 0.5) * source / target
    weights = _keys((position - centre[:, None]) / stretch) / stretch
    return weights.astype(np.float32), reach


def _resize(image: Array, source: int, target: int) -> Array:
    """Both axes: each `source` pixels in become `target` pixels out, where one of the two is 1."""
    *leading, height, width, channels = image.shape
    image = to_float(image).reshape(-1, height, width, channels)
    products, sums = (partial(by, source=source, target=target) for by in (_by_products, _by_sums))
    if _namespace(image) is np:
        image = products(image)
    elif isinstance(height, int) and isinstance(width, int):
        image = jax.lax.platform_dependent(image, tpu=products, default=sums)
    else:  # sides that an exported program leaves open do not come in tiles
        image = sums(image)
    return image.reshape(*leading, *image.shape[1:])


def _by_sums(image: jax.Array, source: int, target: int) -> jax.Array:
    """`_resize` as weighted sums of shifted copies: for XLA:CPU a third of the time of products."""
    for axis in (1, 2) if source > target else (2, 1):  # along columns, the costlier way, while there are few pixels
        size = image.shape[axis]
        weights, reach = _weights(source, target, 1)
        if isinstance(size, int):
            padded = jnp.pad(image, [(reach, reach) if at == axis else (0, 0) for at in range(4)], mode="symmetric")
        else:
            first = jax.lax.slice_in_dim(image, 0, reach, axis=axis)
            last = jax.lax.slice_in_dim(image, size - reach, size, axis=axis)
            padded = jnp.concatenate([jnp.flip(first, axis), image, jnp.flip(last, axis)], axis)
        padded = laid_down_on_cpu(padded)
        copies = [jax.lax.slice_in_dim(padded, k, k + size - source + 1, source, axis) for k in range(weights.shape[1])]
        resized = [sum(float(w) * copy for w, copy in zip(row, copies, strict=True) if w) for row in weights]
        shape = *image.shape[:axis], size * target // source, *image.shape[axis + 1 :]
        image = jnp.stack(resized, axis + 1).reshape(shape)
    return image


def _by_products(image: Array, source: int, target: int) -> Array:
    """`_resize` as products of one small banded matrix with tiles of the image, for BLAS and for matrix units."""
    for _ in range(2):
        rows, columns, channels = image.shape[1:]
        image = _resize_rows(image.reshape(len(image), rows, columns * channels), source, target)
        image = image.reshape(len(image), rows * target // source, columns, channels).swapaxes(1, 2)
    return image


def _resize_rows(image: Array, source: int, target: int) -> Array:
    """[B, H, X] → [B, H·target/source, X]."""
    xp, rows = _namespace(image), image.shape[1]
    tile = _TILE if xp is jnp else _BLAS_TILE
    weights, reach = _weights(source, target, tile)
    padded = xp.pad(image, ((0, 0), (reach, reach), (0, 0)), mode="symmetric")
    tiles = []
    for start in range(0, rows, tile * source):
        count = min(tile * source, rows - start)
        window = count + 2 * reach
        used = weights[: count * target // source, :window]
        tiles.append(_product(used, padded[:, start : start + window]))
    return xp.concatenate(tiles, axis=1)


def _product(weights: np.ndarray, image: Array) -> Array:
    """[M, K] @ [B, K, X] in true float32, also where a TPU's default is bfloat16."""
    if isinstance(image, jax.Array):
        return jnp.matmul(weights, image, precision=jax.lax.Precision.HIGHEST)
    batch, _, columns = image.shape
    product = np.empty((batch, len(weights), columns), np.float32)
    step = max(1, _BLAS_WORK // weights.size)
    for start in range(0, columns, step):
        part = slice(start, start + step)
        np.matmul(weights, image[..., part], out=product[..., part])
    return product
