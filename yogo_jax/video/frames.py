"""What the stages of the pipeline hand to each other about one frame."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from yogo_jax.video.colour import Colour
from yogo_jax.video.hdr import Hdr10


@dataclass(frozen=True)
class Frame:
    """One input frame.

    Attributes:
      image: [H, W, 3] RGB, uint8 or uint16 over its whole range.
      pts: presentation time, in ticks of the video's time base; rises strictly from frame to frame.
      duration: ticks for which it is shown; only the last frame's is not told by its successor.
      cut: a shot begins here.
      duplicate: the same picture as the frame before.
    """

    image: np.ndarray
    pts: int
    duration: int
    cut: bool = False
    duplicate: bool = False

    def marked(self, *, cut: bool = False, duplicate: bool = False) -> "Frame":
        return replace(self, cut=self.cut or cut, duplicate=duplicate)


@dataclass(frozen=True)
class Video:
    """What is known of a video before its first frame is handed out.

    Attributes:
      width, height: of every frame, as stored (before rotation and pixel aspect ratio).
      time_base: seconds of one tick.
      rate: average frames a second.
      duration: seconds that the file claims, for progress only; None when it claims nothing.
      display_matrix: nine integers that turn or mirror the picture for display, or None.
      hdr: static HDR10 metadata, or None.
    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    duration: float | None = None
    colour: Colour = field(default_factory=Colour)
    sample_aspect_ratio: Fraction = Fraction(1)
    display_matrix: tuple[int, ...] | None = None
    hdr: Hdr10 | None = None

    @property
    def dtype(self) -> np.dtype:
        """Of the frames' images."""
        return np.dtype(np.uint16 if self.colour.deep else np.uint8)
