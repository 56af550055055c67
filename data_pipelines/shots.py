"""Cut a stream of frames at scene changes."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import cast

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

from data_pipelines.frames import Frame
from data_pipelines.shards import Skipped

_WIDTH = 256  # what the detector looks at: cuts are large, and it is slow on large frames
_LOOKAHEAD = 2  # frames on either side that a change is compared with


def split_shots(frames: Iterable[Frame | Skipped]) -> Iterator[tuple[int, Frame] | Skipped]:
    """Each frame with the number of its shot, some frames late, in constant memory.

    A frame that is missing ends a shot as a cut does: what follows it does not follow what went before.
    """
    shot = 0
    for usable, group in itertools.groupby(frames, lambda frame: isinstance(frame, Frame)):
        if usable:
            for cut, frame in _find_cuts(cast(Iterator[Frame], group)):
                shot += cut
                yield shot, frame
        else:
            yield from cast(Iterator[Skipped], group)
            shot += 1


def _find_cuts(frames: Iterable[Frame]) -> Iterator[tuple[bool, Frame]]:
    """Each frame, and whether a shot begins with it.

    PySceneDetect's adaptive detector: a cut differs more from its neighbours than these do among themselves,
    which tells it from fast motion. It is set more sensitive than its defaults, and shots of any length are let
    stand: in training data a cut that is missed costs more than one too many.
    """
    detector = AdaptiveDetector(adaptive_threshold=2.0, min_content_val=10.0, window_width=_LOOKAHEAD, min_scene_len=1)
    waiting: deque[tuple[int, Frame]] = deque()
    cuts: set[int] = set()
    for number, frame in enumerate(frames):
        found = detector.process_frame(FrameTimecode(number, fps=25.0), _thumbnail(frame.pixels))
        cuts.update(timecode.frame_num for timecode in found)
        waiting.append((number, frame))
        if number >= 2 * _LOOKAHEAD:  # the detector has decided on all but the last few
            first, decided = waiting.popleft()
            yield first in cuts, decided
    for number, frame in waiting:
        yield number in cuts, frame


def _thumbnail(pixels: np.ndarray) -> np.ndarray:
    """A small BGR picture, as OpenCV has them."""
    height, width = pixels.shape[:2]
    if width > _WIDTH:
        size = (_WIDTH, max(1, height * _WIDTH // width))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels[..., ::-1])
