"""YOGO in JAX: video at four times the size and twice the frame rate. `upscale` does it to frames."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yogo_jax.video.api import upscale

__all__ = ["upscale"]


def __getattr__(name: str):
    """Import JAX and FFmpeg only for those who upscale: `yogo --help` answers at once."""
    if name == "upscale":
        from yogo_jax.video.api import upscale

        return upscale
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
