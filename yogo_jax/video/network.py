"""The network as the video tool sees it: a function on windows of frames, and a name that changes with it."""

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax

from yogo_jax.errors import UserError
from yogo_jax.peers.config import TMNetConfig
from yogo_jax.video.options import Options
from yogo_jax.video.tiles import Apply, TiledNetwork

_BYTES_PER_FILTER = {"paper": 140, "light": 48}
"""XLA's temporaries on a CPU by `memory_analysis` for a pixel, filter and output frame, by the kind of
reconstruction, with `_BYTES_OF_IMAGE` beside them: at tiles of 128 pixels 95 for YOGO-64, 94 for Zooming Slow-Mo and
131 for TMNet; 138 for YOGO-64 at tiles of 64, whose padding weighs more; 69 for a light network of 24 filters, images
and all."""

_BYTES_OF_MOTION = 700
"""More of them for a pixel and output frame of a network that registers its frames: with them, 17,700 were measured for
a pixel of the default model, its seven frames together."""

_OVERLAP_OF_MOTION = 96
"""Registration sees far, from the coarsest level of its pyramid."""

_BYTES_OF_IMAGE = 16 * 3 * (4 * 4 + 2)
"""The tile's result in float32, steps on its way to 16 bits, and its part of a canvas: a batch may span windows."""


@dataclass(frozen=True)
class Network:
    """A function from N known frames to (N − 1)·rate + 1 frames of four times the size.

    Attributes:
      apply: [B, N, h, w, 3] float32 RGB in [0, 1] → [B, (N−1)·rate+1, 4h, 4w, 3]; traced by jit.
      identity: differs between networks that give different results; resuming compares it.
      frames: N.
      bytes_per_pixel: memory that a tile takes for each of its pixels, all frames together.
      overlap: input pixels that tiles share, for a seam that does not show.
      rate: one frame of the input becomes so many, spread evenly over the time to the next.
    """

    apply: Apply
    identity: str
    frames: int = 4
    bytes_per_pixel: int = 20_000
    overlap: int = 32
    rate: int = 2

    @property
    def outputs(self) -> int:
        """Frames that come of a window's N."""
        return (self.frames - 1) * self.rate + 1


def tiled(network: Network, tile: tuple[int, int], options: Options) -> TiledNetwork:
    """The network on frames of any size, in tiles (height, width), over all devices."""
    overlap = network.overlap if options.overlap is None else options.overlap
    return TiledNetwork(network.apply, tile, overlap, shrink=options.rate_only)


def load_network(weights: Path | None = None, frames: int = 4, rate: int = 2) -> Network:
    """The network in a weight file; None is the packaged default. TMNet makes frames at any `rate`, others at 2.

    Raises UserError.
    """
    from yogo_jax.weights import default_weights, load_weights

    path = default_weights() if weights is None else weights
    config, params = load_weights(path)
    if isinstance(config, TMNetConfig):
        config = replace(config, moments=tuple(part / rate for part in range(1, rate)))
    elif rate != 2:
        raise UserError(f"{path}: {config.network} makes one frame between two: a rate of 2. TMNet makes any number")
    model = config.build()

    def apply(params, frames: jax.Array) -> jax.Array:
        output: Any = model.apply({"params": params}, frames, auxiliary=False)
        return output.image

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    features = _BYTES_PER_FILTER[getattr(config, "recon", "paper")] * config.filters
    overlap = Network.overlap
    if getattr(config, "motion", "none") != "none":
        features += _BYTES_OF_MOTION
        overlap = _OVERLAP_OF_MOTION
    bytes_per_pixel = ((frames - 1) * rate + 1) * (features + _BYTES_OF_IMAGE)
    return Network(partial(apply, jax.device_put(params)), digest, frames, bytes_per_pixel, overlap, rate)
