"""How much memory a run may take, where it goes, and the tile that is left room for."""

from pathlib import Path

import jax
import numpy as np
import psutil

from yogo_jax.errors import UserError
from yogo_jax.imaging import SCALE
from yogo_jax.video.network import Network
from yogo_jax.video.options import Options
from yogo_jax.video.tiles import choose_tile

AHEAD = 2
"""Frames that decoding may be ahead of the network, and the network of encoding."""

_DECODER_FRAMES = 24  # a decoder's references, PySceneDetect's look-ahead, a window, and their conversions
_ENCODER_FRAMES = 20  # an encoder's look-ahead and references at large sizes, 4:2:0
_DEVICE_SHARE = 0.8  # of an accelerator's memory, for tiles
_COMPILER = 400_000_000  # bytes that compiling takes for a while
_WORTH_A_DEVICE = 2_500_000_000  # bytes


def fitting_tile(network: Network, height: int, width: int, dtype: np.dtype, options: Options) -> tuple[int, int]:
    """(height, width) of the tiles that the memory allows, or that were asked for.

    Raises UserError when not even the smallest fit, or when those asked for are no larger than their overlap.
    """
    overlap = network.overlap if options.overlap is None else options.overlap
    if options.tile is not None:
        for side, length in zip(options.tile, (height, width), strict=True):
            if side < length and side <= overlap:
                raise UserError(f"a tile side of {side} is not larger than the overlap of {overlap} pixels")
        return options.tile
    budget = available() // 2 if options.memory is None else options.memory
    pipeline = psutil.Process().memory_info().rss + pipeline_bytes(network, height, width, dtype, options)
    room = (budget - pipeline - _COMPILER) // len(jax.devices())
    device = jax.devices()[0]
    if device.platform != "cpu" and room > 0:
        statistics = device.memory_stats() or {}
        room = int(_DEVICE_SHARE * (statistics.get("bytes_limit", room) - statistics.get("bytes_in_use", 0)))
    try:
        return choose_tile(height, width, overlap, max(room, 0) // network.bytes_per_pixel)
    except ValueError:
        least = pipeline + _COMPILER + (2 * overlap) ** 2 * network.bytes_per_pixel
        raise UserError(
            f"{budget / 1e9:.1f} GB of memory is too little for frames of {width}x{height}:"
            f" --memory {least / 1e9 + 0.1:.1f}GB would do"
        ) from None


def devices_for(memory: int | None) -> int:
    """Parts that a CPU is worth to be taken in with so many bytes: with less for each, tiles grow small and overlap."""
    return max(1, (available() // 2 if memory is None else memory) // _WORTH_A_DEVICE)


def pipeline_bytes(network: Network, height: int, width: int, dtype, options: Options) -> int:
    """What decoding, the windows' results and encoding hold, without the network."""
    scale = 1 if options.rate_only else SCALE
    before = 3 * height * width * np.dtype(dtype).itemsize
    after = 3 * height * width * scale**2
    canvas = network.outputs * after * 2
    waiting = (AHEAD + 3) * after * np.dtype(dtype).itemsize * (2 if options.side_by_side else 1)
    encoder = _ENCODER_FRAMES * after // 2 * np.dtype(dtype).itemsize * (2 if options.side_by_side else 1)
    return _DECODER_FRAMES * before + canvas + waiting + encoder


def available() -> int:
    """Bytes that this process could still get: of the machine, or of its container when that is less."""
    free = psutil.virtual_memory().available
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such limit, or "max"
            continue
    return free
