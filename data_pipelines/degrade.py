"""What a video codec does to low-resolution frames: real footage arrives compressed."""

from fractions import Fraction

import av
import numpy as np


def compress(frames: np.ndarray, crf: int) -> np.ndarray:
    """Encode frames as H.264 and decode them again.

    Args:
      frames: [N, H, W, 3] uint8 RGB, consecutive.
      crf: x264's constant rate factor, 0..51: 18 is near transparent, 34 is visibly blocky.

    Returns:
      [N, H, W, 3] uint8 RGB, through 4:2:0. One thread: the same bytes every time.
    """
    count, height, width, _ = frames.shape
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = even.shape[2], even.shape[1]
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(25)
    encoder.time_base = Fraction(1, 25)
    # mbtree: x264 makes other choices from one run to the next with it on frames as small as these.
    encoder.options = {"crf": str(crf), "preset": "veryfast", "x264-params": "mbtree=0"}
    encoder.thread_count = 1
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    pictures = [av.VideoFrame.from_ndarray(frame, format="rgb24") for frame in even]
    for index, picture in enumerate(pictures):
        picture.pts = index
    packets = [packet for picture in [*pictures, None] for packet in encoder.encode(picture)]
    decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    assert len(decoded) == count
    return np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])[:, :height, :width]
