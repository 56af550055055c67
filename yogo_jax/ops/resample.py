"""Enlarging feature maps: bilinear, and by pixel shuffle."""

import jax
import jax.numpy as jnp


def up2(x: jax.Array) -> jax.Array:
    """Bilinear ×2 with half-pixel centres: `[B, H, W, C]` → `[B, 2H, 2W, C]`.

    What `torch.nn.functional.interpolate(scale_factor=2, mode="bilinear", align_corners=False)` computes, as
    slices and sums: each new sample is ¾ of the nearer and ¼ of the farther old one, edges repeated.
    """
    for axis in (1, 2):
        size = x.shape[axis]
        first, last = jax.lax.slice_in_dim(x, 0, 1, axis=axis), jax.lax.slice_in_dim(x, size - 1, size, axis=axis)
        before = jnp.concatenate([first, jax.lax.slice_in_dim(x, 0, size - 1, axis=axis)], axis)
        after = jnp.concatenate([jax.lax.slice_in_dim(x, 1, size, axis=axis), last], axis)
        pair = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        x = pair.reshape(*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])
    return x


def up4(x: jax.Array) -> jax.Array:
    """Bilinear ×4: `[B, H, W, C]` → `[B, 4H, 4W, C]`."""
    return up2(up2(x))


def pixel_shuffle(x: jax.Array, factor: int) -> jax.Array:
    """Channels to space: `[B, H, W, C·f²]` → `[B, fH, fW, C]`.

    The channels lie as (c, dy, dx), like those of `torch.nn.PixelShuffle`, so that weights cross unchanged.
    """
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, channels // factor**2, factor, factor)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(batch, height * factor, width * factor, channels // factor**2)


def pixel_unshuffle(x: jax.Array, factor: int) -> jax.Array:
    """Space to channels, `pixel_shuffle` undone: `[B, fH, fW, C]` → `[B, H, W, C·f²]`."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // factor, factor, width // factor, factor, channels)
    return x.transpose(0, 1, 3, 5, 2, 4).reshape(batch, height // factor, width // factor, channels * factor**2)
