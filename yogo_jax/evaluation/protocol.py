"""The test protocol of Zooming Slow-Mo and TMNet, which the paper follows.

A clip is cut into windows of 7 frames, 6 apart, so that neighbours share one frame; a last window of the last 7
frames takes what is left over. A network sees frames 0, 2, 4 and 6 of a window at a quarter of the size and
makes all 7. Every frame of the clip counts once: a frame of two windows is the first one's.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from yogo_jax.evaluation.clips import Clip, ClipError
from yogo_jax.evaluation.metrics import WINDOW as SSIM_WINDOW
from yogo_jax.imaging import crop_to_multiple

LENGTH = 7
STRIDE = 6

KNOWN = np.arange(LENGTH) % 2 == 0
"""Positions of a window that a network is given; it makes the others."""


@dataclass(frozen=True)
class Window:
    """Seven frames of a clip.

    Attributes:
        clip: the clip's name.
        start: index in the clip of the first frame.
        frames: [7, H, W, 3], uint8 RGB; 4 divides H and W.
        counts: [7], bool: True for the frames that no earlier window has scored.
    """

    clip: str
    start: int
    frames: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class End:
    """After a clip's last window; `error` says why the clip cannot be scored."""

    clip: str
    error: str | None = None


def windows(clip: Clip) -> Iterator[Window | End]:
    """Read a clip once, with no more than 7 frames in memory: its windows, then its `End`.

    An unreadable frame ends the clip with an error, and its windows so far are to be thrown away.
    """
    recent: deque[np.ndarray] = deque(maxlen=LENGTH)
    count = covered = 0
    try:
        for count, frame in enumerate(clip.frames(), start=1):
            recent.append(_cropped(clip, frame))
            if count == covered + (STRIDE if covered else LENGTH):
                yield _window(clip, recent, count, covered)
                covered = count
        if count < LENGTH:
            raise ClipError(f"{clip.name}: {count} frames; a window takes {LENGTH}")
    except ClipError as error:
        yield End(clip.name, str(error))
        return
    if count > covered:
        yield _window(clip, recent, count, covered)
    yield End(clip.name)


def first_windows(clip: Clip, count: int) -> list[Window]:
    """At most so many windows of a clip; none of one that is too short."""
    return [window for window in islice(windows(clip), count) if isinstance(window, Window)]


def _cropped(clip: Clip, frame: np.ndarray) -> np.ndarray:
    frame = crop_to_multiple(frame)
    height, width, _ = frame.shape
    if min(height, width) < SSIM_WINDOW:
        needed = f"the SSIM window takes {SSIM_WINDOW}×{SSIM_WINDOW}"
        raise ClipError(f"{clip.name}: frames of {width}×{height} in whole blocks of 4; {needed}")
    return frame


def _window(clip: Clip, recent: deque[np.ndarray], count: int, covered: int) -> Window:
    start = count - LENGTH
    return Window(clip.name, start, np.stack(recent), np.arange(start, count) >= covered)
