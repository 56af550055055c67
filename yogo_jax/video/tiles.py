"""Frames of any size through the network: tiles that overlap, one compiled program, batches over all devices.

A tile is computed with `overlap` pixels of its neighbours around it. Neighbours are faded into each other
over a short ramp in the middle of what they share, so that every pixel shown lies at least
(overlap − ramp) / 2 pixels inside its tile.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from yogo_jax import imaging
from yogo_jax.devices import compiler_options
from yogo_jax.imaging import SCALE
from yogo_jax.tracing import uncollected

Apply = Callable[[jax.Array], jax.Array]
"""[B, N, h, w, 3] float32 RGB in [0, 1] → [B, 2N−1, 4h, 4w, 3]; may be traced by jit."""

FULL = 65280
"""White in a canvas: 255 · 256, so that rounding of the blended parts cannot overflow 16 bits."""

GRID = 8
"""Tiles but the last begin at multiples of this: pyramids of features have the whole frame's grid in them."""

RAMP = 8
"""Pixels of the input over which neighbours fade into each other."""


@dataclass(frozen=True)
class Tiling:
    """Where the tiles of one axis begin, and how they fade.

    Attributes:
      length: of the frame, `tile`: of a tile, in input pixels; a frame shorter than a tile is padded (edge).
      starts: first pixel of each tile.
    """

    length: int
    tile: int
    overlap: int

    @cached_property
    def starts(self) -> list[int]:
        if self.length <= self.tile:
            return [0]
        step = self.tile - self.overlap
        grid = GRID if step >= GRID else 1
        last = -(-(self.length - self.tile) // grid)
        count = -(-last // (step // grid)) + 1
        return [min(grid * round(start), self.length - self.tile) for start in np.linspace(0, last, count)]

    def weights(self, scale: int) -> np.ndarray:
        """[tiles, tile · scale] float32; over the tiles they add up to 1 at every pixel."""
        position = (np.arange(self.tile * scale) + 0.5) / scale
        pairs = list(itertools.pairwise(self.starts))
        # No longer than a step from tile to tile, so that a ramp ends before the next begins.
        ramp = min(
            [RAMP, *(right - left for left, right in pairs), *(left + self.tile - right for left, right in pairs)]
        )
        weights = np.ones((len(self.starts), len(position)), np.float32)
        for number, (left, right) in enumerate(pairs):
            begin = (left + self.tile + right - ramp) / 2
            weights[number] *= 1 - np.clip((left + position - begin) / max(ramp, 1e-6), 0, 1)
            weights[number + 1] *= np.clip((right + position - begin) / max(ramp, 1e-6), 0, 1)
        return weights


class TiledNetwork:
    """The network on frames of any size.

    Args:
      apply: the network.
      tile: (height, width) of a tile in input pixels.
      overlap: input pixels that neighbouring tiles share at least.
      devices: tiles are spread over them.
      shrink: give the result at the input's size (antialiased bicubic), not at four times.

    `seconds` counts the time with the devices at work.
    """

    def __init__(
        self,
        apply: Apply,
        tile: tuple[int, int],
        overlap: int,
        devices: Sequence[Any] | None = None,
        shrink: bool = False,
    ) -> None:
        self.tile, self.overlap = tile, overlap
        self.scale = 1 if shrink else SCALE
        self.seconds = 0.0
        mesh = jax.make_mesh(
            (len(devices or jax.devices()),), ("tile",), (jax.sharding.AxisType.Auto,), devices=devices
        )
        self._batch = mesh.size
        self._sharding = jax.NamedSharding(mesh, jax.P("tile"))

        self._program = _compiled(apply, shrink, self._sharding)

    def __call__(self, windows: Iterable[tuple[Any, Sequence[np.ndarray]]]) -> Iterator[tuple[Any, np.ndarray]]:
        """(key, N images [H, W, 3]) → (key, canvas [2N−1, s·H, s·W, 3] uint16, white is FULL), in order.

        Tiles of successive windows share batches, so results lag behind by up to a batch.
        """
        started: list[_Canvas] = []
        batch: list[tuple[_Canvas, int, int]] = []
        for key, images in windows:
            canvas = _Canvas(key, images, self.tile, self.overlap, self.scale)
            started.append(canvas)
            for row, column in canvas.places:
                batch.append((canvas, row, column))
                if len(batch) == self._batch:
                    self._run(batch)
                    batch = []
            while started and not started[0].missing:
                yield started.pop(0).finished()
        if batch:
            self._run(batch)
        for canvas in started:
            yield canvas.finished()

    def _run(self, batch: list[tuple["_Canvas", int, int]]) -> None:
        padding = [batch[-1]] * (self._batch - len(batch))
        cut = [canvas.cut(row, column) for canvas, row, column in batch + padding]
        began = time.perf_counter()
        inputs = (jax.device_put(np.stack(part), self._sharding) for part in zip(*cut, strict=True))
        results = np.asarray(self._program(*inputs))
        self.seconds += time.perf_counter() - began
        for (canvas, row, column), result in zip(batch, results, strict=False):
            canvas.add(row, column, result)


@lru_cache(maxsize=4)
def _compiled(apply: Apply, shrink: bool, sharding: jax.NamedSharding) -> Callable[..., jax.Array]:
    """A batch of tiles to weighted pixels of 16 bits. One for all videos: each shape of a tile is compiled once."""

    @uncollected()
    def program(tiles: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
        frames = tiles.astype(jnp.float32) / jnp.iinfo(tiles.dtype).max
        result = jnp.clip(apply(frames).astype(jnp.float32), 0, 1)
        if shrink:
            result = jnp.clip(imaging.downscale(result), 0, 1)
        weight = rows[:, None, :, None, None] * columns[:, None, None, :, None]
        return jnp.round(result * weight * FULL).astype(jnp.uint16)

    # Each device runs its own tiles: XLA could not tell that a deformable convolution's samples are local.
    local = jax.shard_map(program, mesh=sharding.mesh, in_specs=sharding.spec, out_specs=sharding.spec, check_vma=False)
    options = compiler_options(sharding.device_set)
    return jax.jit(local, in_shardings=sharding, out_shardings=sharding, compiler_options=options)


class _Canvas:
    """One window's result while its tiles come in."""

    def __init__(self, key: Any, images: Sequence[np.ndarray], tile: tuple[int, int], overlap: int, scale: int) -> None:
        self._key, self._images, self._scale = key, images, scale
        height, width = images[0].shape[:2]
        self._rows, self._columns = Tiling(height, tile[0], overlap), Tiling(width, tile[1], overlap)
        self._weights = self._rows.weights(scale), self._columns.weights(scale)
        self.places = [(i, j) for i in range(len(self._rows.starts)) for j in range(len(self._columns.starts))]
        self.missing = len(self.places)
        self._sum: np.ndarray | None = None

    def cut(self, row: int, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A tile's pixels [N, h, w, 3], and its weights by row and by column."""
        top, left = self._rows.starts[row], self._columns.starts[column]
        height, width = self._rows.tile, self._columns.tile
        pixels = np.stack([image[top : top + height, left : left + width] for image in self._images])
        padding = ((0, 0), (0, height - pixels.shape[1]), (0, width - pixels.shape[2]), (0, 0))
        return np.pad(pixels, padding, mode="edge"), self._weights[0][row], self._weights[1][column]

    def add(self, row: int, column: int, result: np.ndarray) -> None:
        """result: [2N−1, s·h, s·w, 3] uint16, already weighted."""
        scale = self._scale
        if self._sum is None:
            size = (self._rows.length * scale, self._columns.length * scale)
            self._sum = np.zeros((len(result), *size, 3), np.uint16)
        top, left = self._rows.starts[row] * scale, self._columns.starts[column] * scale
        place = self._sum[:, top : top + result.shape[1], left : left + result.shape[2]]
        place += result[:, : place.shape[1], : place.shape[2]]
        self.missing -= 1

    def finished(self) -> tuple[Any, np.ndarray]:
        assert self._sum is not None
        assert not self.missing
        return self._key, self._sum


def to_image(canvas: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A frame of a canvas → uint8, or uint16 over its whole range."""
    if dtype == np.uint8:
        return ((np.minimum(canvas, FULL) + np.uint16(128)) >> 8).astype(np.uint8)
    canvas = np.minimum(canvas, FULL)
    return canvas + (canvas >> 8)


_SIZES = (16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, *range(320, 1025, 64), *range(1152, 4097, 128))
"""Sides that tiles have: few, so that clips of many sizes share compiled programs."""


def choose_tile(height: int, width: int, overlap: int, most: int) -> tuple[int, int]:
    """The tile of at most `most` pixels that covers a frame with the least computation.

    Raises ValueError when no tile of so few pixels is larger than its overlap.
    """

    def cost(side: int, length: int) -> int:
        return len(Tiling(length, side, overlap).starts) * side

    def usable(length: int) -> list[int]:
        larger = next((side for side in _SIZES if side >= length), _SIZES[-1])
        return [side for side in _SIZES if side <= larger and (side >= length or side >= 2 * overlap)]

    choices = [
        (cost(h, height) * cost(w, width), h * w, (h, w))
        for h in usable(height)
        for w in usable(width)
        if h * w <= most
    ]
    if not choices:
        raise ValueError(f"{most} pixels are too few for a tile with an overlap of {overlap}")
    return min(choices)[2]
