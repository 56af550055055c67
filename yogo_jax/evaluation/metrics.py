"""PSNR and SSIM in JAX, on luma and on RGB, and the clu Collection that averages them.

`psnr` and `ssim` take images on the scale of 0 to 255, of any number of leading axes, and return one score
for each image. `frame_scores` takes network outputs: it clamps and rounds to whole levels first, as every
published table does, and takes luma unrounded (BT.601, studio swing). No border is cropped.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from clu import metrics
from jax import lax

from yogo_jax.imaging import quantise, rgb_to_y

PEAK = 255.0
MAX_PSNR = 100.0  # equal images have no finite PSNR: one of them must not take the mean of a clip with it

WINDOW = 11
SIGMA = 1.5
TILE = 128


def psnr(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio of images `[..., H, W, C]` on 0..255: `[...]`, in dB, at most `MAX_PSNR`."""
    difference = jnp.asarray(prediction, jnp.float32) - jnp.asarray(target, jnp.float32)
    # One axis at a time: a sequential float32 sum over a whole frame would lose the digits that are printed.
    error = jnp.square(difference).mean(-1).mean(-1).mean(-1)
    return jnp.minimum(20 * jnp.log10(PEAK / jnp.sqrt(error)), MAX_PSNR)


def ssim(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """Structural similarity of images `[..., H, W, C]` on 0..255: `[...]`, the mean over the channels.

    Wang et al. 2004, Eq. 13: an 11×11 Gaussian window of σ 1.5 over the valid region, C1 = (0.01·255)²,
    C2 = (0.03·255)², moments divided by the window's weight.

    Raises:
        ValueError: the images are smaller than the window.
    """
    height, width = prediction.shape[-3:-1]
    if min(height, width) < WINDOW:
        raise ValueError(f"images of {width}×{height}; SSIM needs at least {WINDOW}×{WINDOW}")
    # One channel of one image at a time stays in cache: six times faster on a CPU than all of them at once.
    planes = [_planes(image) for image in (prediction, target)]
    scores = lax.map(lambda pair: _ssim_of_planes(*pair), tuple(planes))
    return scores.reshape(*prediction.shape[:-3], -1).mean(-1)


def _planes(images: jax.Array) -> jax.Array:
    """[..., H, W, C] → [all images and channels, H, W], float32."""
    height, width = images.shape[-3:-1]
    return jnp.moveaxis(jnp.asarray(images, jnp.float32), -1, -3).reshape(-1, height, width)


def _ssim_of_planes(x: jax.Array, y: jax.Array) -> jax.Array:
    # (Co)variances do not change with the origin: about mid-grey, float32 keeps two digits more of them.
    x, y = x - PEAK / 2, y - PEAK / 2
    mean_x, mean_y = _blur(x), _blur(y)
    variances = _blur(x * x + y * y) - mean_x * mean_x - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + PEAK / 2, mean_y + PEAK / 2
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return (luminance * structure).mean(-1).mean(-1)


def _blur(plane: jax.Array) -> jax.Array:
    """Gaussian window over the valid region of [H, W]."""
    return _blur_rows(_blur_rows(plane).T).T


def _blur_rows(plane: jax.Array) -> jax.Array:
    """[H, W] → [H − 10, W]: one product with a banded matrix for every `TILE` rows of the result."""
    kernel = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / SIGMA) ** 2)
    kernel /= kernel.sum()
    size = plane.shape[0] - WINDOW + 1
    tiles = []
    for start in range(0, size, TILE):
        rows = min(TILE, size - start)
        band = sum(weight * np.eye(rows, rows + WINDOW - 1, tap) for tap, weight in enumerate(kernel))
        tile = plane[start : start + rows + WINDOW - 1]
        tiles.append(jnp.matmul(np.float32(band), tile, precision=lax.Precision.HIGHEST))
    return jnp.concatenate(tiles)


def frame_scores(prediction: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
    """Every score of frames `[..., H, W, 3]`, RGB, uint8 or float in [0, 1]; each score is `[...]`.

    The prediction may leave [0, 1]: both are clamped and rounded to whole levels of 0 to 255 here.
    """
    prediction, target = quantise(jnp.asarray(prediction)), quantise(jnp.asarray(target))
    prediction_y, target_y = rgb_to_y(prediction)[..., None], rgb_to_y(target)[..., None]
    return {
        "psnr_y": psnr(prediction_y, target_y),
        "ssim_y": ssim(prediction_y, target_y),
        "psnr_rgb": psnr(prediction, target),
        "ssim_rgb": ssim(prediction, target),
    }


@flax.struct.dataclass
class Quality(metrics.Collection):
    """Means of the scores over frames.

    `Quality.single_from_model_output(**frame_scores(prediction, target), mask=mask)`, where `mask` has the
    scores' shape, or that of their first axis, and is False for padding; then `merge` and `compute`.
    """

    psnr_y: metrics.Average.from_output("psnr_y")  # type: ignore
    ssim_y: metrics.Average.from_output("ssim_y")  # type: ignore
    psnr_rgb: metrics.Average.from_output("psnr_rgb")  # type: ignore
    ssim_rgb: metrics.Average.from_output("ssim_rgb")  # type: ignore
