"""Where shots begin and which frames are repeats, told of a stream of frames.

A frame made between two shots would be a ghost of both; a repeated frame (25 → 30 pulldown, a still screen)
wastes a place in the network's window and hides the motion around it.
"""

from collections import deque
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from yogo_jax.video.frames import Frame

CUT_THRESHOLD = 3.0
"""Times by which a frame's change must exceed that of its neighbours to be a cut (PySceneDetect's default)."""

_NEIGHBOURS = 2  # frames on either side that a frame's change is compared with
_CHANGES = (1.0, 20.0), (0.52, 33.0)
"""(share of the threshold to stand out by, least change in grey levels). In Tears of Steel's battle, 25 of the 26
cuts seen by eye, and no flash or explosion taken for one; in fifteen fast DAVIS sequences, none."""
_WIDTH = 256  # pixels; enough to tell shots apart
_BLOCK = 8
_SAME = 1.0  # grey levels of 255; a repeat differs by less in every block


def mark_cuts(frames: Iterable[Frame], threshold: float = CUT_THRESHOLD) -> Iterator[Frame]:
    """The same frames, two late, with `cut` set where a shot begins.

    PySceneDetect's adaptive detector: a frame's change (hue, saturation, lightness) against the mean change
    of the two frames before and after it, so that fast motion is no cut. A very large change is one already
    when it stands out by less. Both ends of the stream count as still.
    """
    detectors = [
        AdaptiveDetector(threshold * factor, min_scene_len=1, window_width=_NEIGHBOURS, min_content_val=least)
        for factor, least in _CHANGES
    ]
    waiting: deque[Frame] = deque()
    cuts: set[int] = set()
    fed = delivered = 0

    def feed(thumbnail: np.ndarray, times: int = 1) -> None:
        nonlocal fed
        for _ in range(times):
            for detector in detectors:
                found = detector.process_frame(FrameTimecode(fed, 25.0), thumbnail)
                cuts.update(cut.frame_num - _NEIGHBOURS for cut in found)
            fed += 1

    def deliver(late: int) -> Iterator[Frame]:
        nonlocal delivered
        while len(waiting) > late:
            yield waiting.popleft().marked(cut=delivered in cuts)
            cuts.discard(delivered)
            delivered += 1

    thumbnail = None
    for frame in frames:
        thumbnail = _thumbnail(frame.image)
        feed(thumbnail, 1 if fed else 1 + _NEIGHBOURS)
        waiting.append(frame)
        yield from deliver(_NEIGHBOURS)
    if thumbnail is not None:
        feed(thumbnail, _NEIGHBOURS)
    yield from deliver(0)


def mark_duplicates(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The same frames, with `duplicate` set where a frame repeats the one before."""
    before: np.ndarray | None = None
    for frame in frames:
        duplicate = before is not None and not frame.cut and _same(before, frame.image)
        if not duplicate:
            before = frame.image
        yield frame.marked(duplicate=duplicate)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] RGB of 8 or 16 bits → 8-bit BGR, at most _WIDTH wide."""
    height, width = image.shape[:2]
    if width > _WIDTH:
        size = (_WIDTH, max(1, round(height * _WIDTH / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    return np.ascontiguousarray(image[..., ::-1])


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether no block differs by a grey level in the mean: noise and motion both do, repeats do not."""
    if np.array_equal(a, b):
        return True
    difference = cv2.absdiff(a, b)
    height, width = difference.shape[:2]
    size = (-(-width // _BLOCK), -(-height // _BLOCK))
    blocks = cv2.resize(difference.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return float(blocks.max()) < _SAME * (257 if a.dtype == np.uint16 else 1)
