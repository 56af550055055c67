"""What no network at all scores: the figures that prove the protocol.

Each baseline maps frames [B, N, H, W, 3] in [0, 1] to [B, T, 4H, 4W, 3], as a network does. All 171 frames of
Vid4, PSNR in dB and SSIM on luma: bicubic 23.78 / 0.6347, trilinear 22.90 / 0.588; blend gets 23.34 / 0.6158.
"""

import jax

from yogo_jax.imaging import SCALE, upscale
from yogo_jax.model.yogo import between


def bicubic(frames: jax.Array) -> jax.Array:
    """Bicubic ×4 of each frame: [B, N, H, W, 3] → [B, N, 4H, 4W, 3]. It is to be given all the frames."""
    return upscale(frames)


def blend(frames: jax.Array) -> jax.Array:
    """Bicubic ×4 of each frame, and between each two the mean of the two: T = 2N − 1."""
    return between(upscale(frames))


def trilinear(frames: jax.Array) -> jax.Array:
    """Linear in time, height and width at once: T = 2N − 1, half-pixel centres on all three axes, ends clamped.

    With half-pixel centres in time too, no output lies on an input frame (position t ↦ (t + ½)·N/T − ½).
    """
    batch, count, height, width, channels = frames.shape
    shape = (batch, 2 * count - 1, height * SCALE, width * SCALE, channels)
    return jax.image.resize(frames, shape, "linear", precision=jax.lax.Precision.HIGHEST)
