"""Optical flow between the true low-resolution frames, to teach aligners where to sample."""

import cv2
import numpy as np

_AROUND = 16  # low-resolution pixels around a patch that its flow is estimated with


def neighbour_flow(frames: np.ndarray, corner: tuple[int, int], patch: tuple[int, int], scale: int) -> np.ndarray:
    """Each frame's flow to the next one and to the last one, in a patch, by OpenCV's dense inverse search.

    Args:
      frames: [T, H, W, 3] uint8.
      corner: top and left of the patch in low-resolution pixels.
      patch: its height and width in low-resolution pixels.
      scale: of the frames to low resolution.

    Returns:
      [T, 2, h, w, 2] float32: to the next frame, then to the last; (dy, dx) in low-resolution pixels. A frame
      without the neighbour in question has zeros.
    """
    edges = [
        (max(0, first - _AROUND), min(side // scale, first + size + _AROUND))
        for first, size, side in zip(corner, patch, frames.shape[1:3], strict=True)
    ]
    (top, bottom), (left, right) = edges
    around = frames[:, scale * top : scale * bottom, scale * left : scale * right]
    grey = [
        cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        for frame in around
    ]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    rows, columns = (
        slice(first - low, first - low + size) for first, size, (low, _) in zip(corner, patch, edges, strict=True)
    )
    flow = np.zeros((len(frames), 2, *patch, 2), np.float32)
    for here in range(len(frames) - 1):
        for frame, other, way in ((here, here + 1, 0), (here + 1, here, 1)):
            found = search.calc(grey[frame], grey[other], None)  # pyright: ignore[reportCallIssue, reportArgumentType]
            flow[frame, way] = found[rows, columns, ::-1]
    return flow
