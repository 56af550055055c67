"""Images as the evaluation protocol sees them: bicubic resizing, luma, rounding, and the loss's targets.

Everything works on numpy arrays and on jax arrays (inside `jit` and `grad` as well) and gives back the kind
that it was given, so that training, evaluation and the command line share one bicubic. Images are
[..., H, W, C] in [0, 1]; uint8 images are read as 0..255 and become float32.

The bicubic is MATLAB's `imresize`: Keys' kernel with a = −½, stretched by the scale when shrinking
(antialiasing), half-pixel centres, edges mirrored with the edge pixel repeated. Scales are whole numbers,
so every tile of an image meets the same weights: each axis is a few matrix products with one small banded
matrix, which both BLAS and XLA run at full speed from 32-pixel patches to 4K frames.
"""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

SCALE = 4
"""Spatial scale of the network."""

Array = Any
"""A numpy or a jax array."""

_TILE = 32  # low-resolution pixels a matrix product covers: enough to keep it efficient, few enough zeros


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
    matrix, before, after = _downscale_matrix(scale)
    return _resize(image, matrix, before, after, source=scale, target=1)


def upscale(image: Array, scale: int = SCALE) -> Array:
    """Bicubic [..., H, W, C] → [..., scale·H, scale·W, C], float32, not clamped."""
    matrix, before, after = _upscale_matrix(scale)
    return _resize(image, matrix, before, after, source=1, target=scale)


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
def _downscale_matrix(scale: int) -> tuple[np.ndarray, int, int]:
    """(weights [_TILE, window], pixels needed before the image, and after it)."""
    before = after = 2 * scale
    source = np.arange(-before, _TILE * scale + after) + 0.5
    centre = (np.arange(_TILE) + 0.5) * scale
    return _keys((source - centre[:, None]) / scale) / scale, before, after


@lru_cache
def _upscale_matrix(scale: int) -> tuple[np.ndarray, int, int]:
    """(weights [_TILE·scale, window], pixels needed before the image, and after it)."""
    before = after = 2
    source = np.arange(-before, _TILE + after) + 0.5
    centre = (np.arange(_TILE * scale) + 0.5) / scale
    return _keys(source - centre[:, None]), before, after


def _resize(image: Array, matrix: np.ndarray, before: int, after: int, source: int, target: int) -> Array:
    """Both axes: each `source` pixels in become `target` pixels out."""
    *leading, height, width, channels = image.shape
    image = to_float(image).reshape(-1, height, width * channels)
    image = _rows(image, matrix, before, after, source, target)
    # Columns: channels are interleaved with them, so the matrix acts on (column, channel) pairs.
    height = height // source * target
    image = image.reshape(-1, height, width, channels)
    image = _columns(image, matrix, before, after, source, target)
    return image.reshape(*leading, height, width // source * target, channels)


def _rows(image: Array, matrix: np.ndarray, before: int, after: int, source: int, target: int) -> Array:
    """[B, H, X] → [B, H·target/source, X]."""
    xp, rows = _namespace(image), image.shape[1]
    padded = xp.pad(image, ((0, 0), (before, after), (0, 0)), mode="symmetric")
    tiles = []
    for start in range(0, rows, _TILE * source):
        count = min(_TILE * source, rows - start)
        weights = matrix[: count // source * target, : count + before + after]
        tiles.append(_product(weights, padded[:, start : start + count + before + after]))
    return xp.concatenate(tiles, axis=1)


def _columns(image: Array, matrix: np.ndarray, before: int, after: int, source: int, target: int) -> Array:
    """[B, H, W, C] → [B, H, W·target/source·C]."""
    xp, (batch, height, width, channels) = _namespace(image), image.shape
    padded = xp.pad(image, ((0, 0), (0, 0), (before, after), (0, 0)), mode="symmetric")
    padded = padded.reshape(batch * height, -1)
    tiles = []
    for start in range(0, width, _TILE * source):
        count = min(_TILE * source, width - start)
        weights = matrix[: count // source * target, : count + before + after]
        weights = np.kron(weights, np.eye(channels)).T
        tile = padded[:, start * channels : (start + count + before + after) * channels]
        tiles.append(_product(tile, weights))
    return xp.concatenate(tiles, axis=1).reshape(batch, height, -1)


def _product(a: Array, b: Array) -> Array:
    """Matrix product in true float32, also where the default is bfloat16 (TPU) or TF32 (GPU)."""
    a, b = a.astype(np.float32), b.astype(np.float32)
    if isinstance(a, jax.Array) or isinstance(b, jax.Array):
        return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
    return np.matmul(a, b)
