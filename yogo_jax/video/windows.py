"""A stream of frames cut into the network's windows, and where each output frame comes from.

Windows of N frames overlap by one, which belongs to the first of the two. No window spans a cut. The last
window of a shot reaches back so that it is full; a shot shorter than a window repeats its last frame.
Repeated frames take no place in a window: they are shown again, and so is the frame between two of them.
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
      index: which of the window's 2N − 1 frames it shows; even ones are the window's own.
      pts, duration: in half ticks of the input's time base, so that midpoints are whole.
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


def windows(frames: Iterable[Frame], size: int, *, double: bool = True) -> Iterator[Window]:
    """Windows of `size` images, and their outputs; `double`: with a new frame midway between each two."""
    shot: _Shot | None = None
    for frame, after in _with_next(frames):
        if shot is None:
            shot = _Shot([frame.image])
        elif frame.cut or (frame.duplicate and shot.held >= _LONGEST_HOLD):
            yield from _end(shot, size)
            shot = _Shot([frame.image])
        elif frame.duplicate:
            shot.held += 1
        elif len(shot.images) == size:
            last = 2 * (size - 1)
            yield Window(shot.images, [output for output in shot.outputs if output.index <= last])
            later = [replace(output, index=output.index - last) for output in shot.outputs if output.index > last]
            shot = _Shot([shot.images[-1], frame.image], later, before=shot.images[:-1])
        else:
            shot.held = 0
            shot.images.append(frame.image)
        _show(shot, frame, after, double)
    if shot is not None:
        yield from _end(shot, size)


def _show(shot: _Shot, frame: Frame, after: Frame | None, double: bool) -> None:
    """Add the output at this frame's time, and the one midway to the next."""
    index = 2 * (len(shot.images) - 1)
    gap = 2 * frame.duration if after is None else 2 * (after.pts - frame.pts)
    if after is None or not double:
        shot.outputs.append(Output(index, 2 * frame.pts, gap, made=False))
        return
    still = after.cut or after.duplicate
    shot.outputs.append(Output(index, 2 * frame.pts, gap // 2, made=False))
    shot.outputs.append(Output(index if still else index + 1, frame.pts + after.pts, gap // 2, made=True))


def _end(shot: _Shot, size: int) -> Iterator[Window]:
    if not shot.outputs:
        return
    missing = size - len(shot.images)
    reach = min(missing, len(shot.before))
    images = shot.before[len(shot.before) - reach :] + shot.images
    images += [images[-1]] * (size - len(images))
    yield Window(images, [replace(output, index=output.index + 2 * reach) for output in shot.outputs])


def _with_next(frames: Iterable[Frame]) -> Iterator[tuple[Frame, Frame | None]]:
    iterator = iter(frames)
    frame = next(iterator, None)
    while frame is not None:
        after = next(iterator, None)
        yield frame, after
        frame = after
