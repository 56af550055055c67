"""Frames in, frames out: shots, windows, network, and the image of every output frame."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from yogo_jax import imaging
from yogo_jax.video.frames import Frame
from yogo_jax.video.network import Network
from yogo_jax.video.options import Options
from yogo_jax.video.shots import mark_cuts, mark_duplicates
from yogo_jax.video.tiles import TiledNetwork, to_image
from yogo_jax.video.windows import Output, Window, windows


@dataclass
class Counts:
    """What went through: input frames, cuts, repeats."""

    frames: int = 0
    cuts: int = 0
    duplicates: int = 0


@dataclass(frozen=True)
class Rendering:
    """What to make of the frames.

    Attributes:
      size: N, frames of a window.
      rate: frames that the network gives for each of the input's.
      made: new frames are shown, not the known ones alone.
      keep_known: known frames are shown as they came (made ones then have the input's size).
      side_by_side: the input, enlarged by bicubic, to the left.
      cut_threshold: of the scene detector; None looks for no cuts.
      duplicates: look for repeated frames.
    """

    size: int
    rate: int = 2
    made: bool = True
    keep_known: bool = False
    side_by_side: bool = False
    cut_threshold: float | None = None
    duplicates: bool = True

    @classmethod
    def of(cls, network: Network, options: Options) -> "Rendering":
        """What the user's options mean for this network."""
        return cls(
            size=network.frames,
            rate=network.rate,
            made=not options.scale_only,
            keep_known=options.rate_only,
            side_by_side=options.side_by_side,
            cut_threshold=options.cut_threshold,
            duplicates=options.duplicates,
        )


def render(
    frames: Iterable[Frame], network: TiledNetwork, rendering: Rendering, counts: Counts, skip: int = 0
) -> Iterator[tuple[Output, np.ndarray | None]]:
    """Every output frame in order, with its image [s·H, s·W, 3] of the input's bits.

    The first `skip` come without an image, and windows of which nothing else is wanted are not computed.
    """
    if rendering.cut_threshold is not None:
        frames = mark_cuts(frames, rendering.cut_threshold)
    if rendering.duplicates:
        frames = mark_duplicates(frames)
    parts = windows(_counted(frames, counts), rendering.size, rate=rendering.rate, made=rendering.made)
    done, first = 0, next(parts, None)
    while first is not None and done + len(first.outputs) <= skip:
        yield from ((output, None) for output in first.outputs)
        done += len(first.outputs)
        first = next(parts, None)
    if first is None:
        return
    for window, canvas in network((part, part.images) for part in chain([first], parts)):
        compose = _Composition(window, canvas, rendering)
        for output in window.outputs:
            yield output, compose(output) if done >= skip else None
            done += 1
        del canvas, compose  # before the next one is made: they are large


class _Composition:
    """Images of one window's outputs; those shown twice are made once."""

    def __init__(self, window: Window, canvas: np.ndarray, rendering: Rendering) -> None:
        self._window, self._canvas, self._rendering = window, canvas, rendering
        self._made: tuple[int, np.ndarray] | None = None

    def __call__(self, output: Output) -> np.ndarray:
        if self._made is None or self._made[0] != output.index:
            self._made = output.index, self._image(output.index)
        return self._made[1]

    def _image(self, index: int) -> np.ndarray:
        before, part = divmod(index, self._rendering.rate)
        source, known = self._window.images[before], part == 0
        image = source if known and self._rendering.keep_known else to_image(self._canvas[index], source.dtype)
        if self._rendering.side_by_side:
            left = source if self._rendering.keep_known else _enlarged(source)
            image = np.concatenate([left, image], axis=1)
        return image


def _enlarged(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] of 8 or 16 bits → four times the size by bicubic."""
    white = np.iinfo(image.dtype).max
    bicubic = imaging.upscale(image.astype(np.float32) / white)
    return np.round(np.clip(bicubic, 0, 1) * white).astype(image.dtype)


def _counted(frames: Iterable[Frame], counts: Counts) -> Iterator[Frame]:
    for frame in frames:
        counts.cuts += frame.cut and counts.frames > 0
        counts.frames += 1
        counts.duplicates += frame.duplicate
        yield frame
