"""The network as the video tool sees it: a function on windows of frames, and a name that changes with it."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax

from yogo_jax.video.tiles import Apply


@dataclass(frozen=True)
class Network:
    """A function from N known frames to 2N − 1 frames of four times the size.

    Attributes:
      apply: [B, N, h, w, 3] float32 RGB in [0, 1] → [B, 2N−1, 4h, 4w, 3]; traced by jit.
      identity: differs between networks that give different results; resuming compares it.
      frames: N.
      multiple: sides that the network computes on without padding are multiples of it.
    """

    apply: Apply
    identity: str
    frames: int = 4
    multiple: int = 4


def load_network(weights: Path | None = None, frames: int = 4) -> Network:
    """The network in a weight file; None is the packaged default. Raises UserError."""
    from yogo_jax.weights import default_weights, load_weights

    path = default_weights() if weights is None else weights
    config, params = load_weights(path)
    model = config.build()

    def apply(params, frames: jax.Array) -> jax.Array:
        output: Any = model.apply({"params": params}, frames, auxiliary=False)
        return output.image

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Network(partial(apply, jax.device_put(params)), digest, frames, getattr(config, "multiple", 4))
