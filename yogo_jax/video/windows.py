"""A stream of frames cut into the network's windows, and where each output frame comes from.

Windows of N frames overlap by one, which belongs to the first of the two. No window spans a cut. The last
window of a shot reaches back so that it is full; a shot shorter than a window repeats its last frame.
Repeated frames take no place in a window: they are shown again, and so are the frames between two of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from yogo_jax.video.frames import Frame

_LONGEST_HOLD = 1000  # repeats after which a shot is ended, so that no more than these wait


@dataclass(frozen=True)
class Output:
    """One output frame.

    Attributes:
      index: which of the window's (N − 1)·rate + 1 frames it shows; multiples of the rate are the window's own.
      pts, duration: in ticks of the input's time base divided by the rate, so that new frames' times are whole.
      made: at a time at which the input has no frame.
    """

    index: int
    pts: int
    duration: int
    made: bool


@dataclass(frozen=True)
class Window:
    """N images for the network, and the output frames to take from its result, in order."""

    images: list[np.ndarray]
    outputs: list[Output]


@dataclass
class _Shot:
    """The part of a shot that is not yet in a window; indices count from its first image."""

    images: list[np.ndarray]
    outputs: list[Output] = field(default_factory=list)
    before: list[np.ndarray] = field(default_factory=list)  # images of the last window but its last one
    held: int = 0


def windows(frames: Iterable[Frame], size: int, *, rate: int = 2, made: bool = True) -> Iterator[Window]:
    """Windows of `size` images, and their outputs; `made`: with rate − 1 new frames spread between each two."""
    shot: _Shot | None = None
    for frame, after in _with_next(frames):
        if shot is None:
            shot = _Shot([frame.image])
        elif frame.cut or (frame.duplicate and shot.held >= _LONGEST_HOLD):
            yield from _end(shot, size, rate)
            shot = _Shot([frame.image])
        elif frame.duplicate:
            shot.held += 1
        elif len(shot.images) == size:
            last = rate * (size - 1)
            yield Window(shot.images, [output for output in shot.outputs if output.index <= last])
            later = [replace(output, index=output.index - last) for output in shot.outputs if output.index > last]
            shot = _Shot([shot.images[-1], frame.image], later, before=shot.images[:-1])
        else:
            shot.held = 0
            shot.images.append(frame.image)
        _show(shot, frame, after, rate, made)
    if shot is not None:
        yield from _end(shot, size, rate)


def _show(shot: _Shot, frame: Frame, after: Frame | None, rate: int, made: bool) -> None:
    """Add the output at this frame's time, and those between it and the next."""
    index = rate * (len(shot.images) - 1)
    if after is None or not made:
        gap = frame.duration if after is None else after.pts - frame.pts
        shot.outputs.append(Output(index, rate * frame.pts, rate * gap, made=False))
        return
    still, gap = after.cut or after.duplicate, after.pts - frame.pts
    for part in range(rate):
        shown = index if still else index + part
        shot.outputs.append(Output(shown, rate * frame.pts + part * gap, gap, made=part > 0))


def _end(shot: _Shot, size: int, rate: int) -> Iterator[Window]:
    if not shot.outputs:
        return
    missing = size - len(shot.images)
    reach = min(missing, len(shot.before))
    images = shot.before[len(shot.before) - reach :] + shot.images
    images += [images[-1]] * (size - len(images))
    yield Window(images, [replace(output, index=output.index + rate * reach) for output in shot.outputs])


def _with_next(frames: Iterable[Frame]) -> Iterator[tuple[Frame, Frame | None]]:
    iterator = iter(frames)
    frame = next(iterator, None)
    while frame is not None:
        after = next(iterator, None)
        yield frame, after
        frame = after
