"""Optical flow between the true low-resolution frames, to teach motion."""

import cv2
import numpy as np

from yogo_jax.imaging import SCALE

_SMALLEST = 12  # pixels of a side, below which the search refuses frames


def neighbour_flow(frames: np.ndarray) -> np.ndarray:
    """Each frame's flow to the next one and to the last one, by OpenCV's dense inverse search.

    Args:
      frames: [T, H, W, 3] uint8.

    Returns:
      [T, 2, H/4, W/4, 2] float32: to the next frame, then to the last; (dy, dx) in low-resolution pixels. A frame
      without the neighbour in question has zeros.
    """
    height, width = (side // SCALE for side in frames.shape[1:3])
    below, right = (max(0, _SMALLEST - side) for side in (height, width))
    grey = [
        cv2.copyMakeBorder(
            cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (width, height), interpolation=cv2.INTER_AREA),
            *(0, below, 0, right),
            cv2.BORDER_REPLICATE,
        )
        for frame in frames
    ]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.zeros((len(frames), 2, height, width, 2), np.float32)
    for here in range(len(frames) - 1):
        for frame, other, way in ((here, here + 1, 0), (here + 1, here, 1)):
            found = search.calc(grey[frame], grey[other], None)  # pyright: ignore[reportCallIssue, reportArgumentType]
            flow[frame, way] = found[:height, :width, ::-1]
    return flow
