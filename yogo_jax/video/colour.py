"""Colour of video: which matrix, range, primaries and transfer a file means, and pictures to and from RGB.

Numbers are those of ITU-T H.273, which every codec and FFmpeg share. The network sees RGB as coded (with its
transfer function left in place), so primaries and transfer pass through as tags and only the matrix and the
range are undone and done again.
"""

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from yogo_jax.errors import UserError

UNSPECIFIED = 2
RGB, BT709, BT470BG, SMPTE170M, BT2020 = 0, 1, 5, 6, 9
PQ, HLG = 16, 18

# H.273 matrix → swscale's coefficients.
_COEFFICIENTS = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
_QUALITY = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)


@dataclass(frozen=True)
class Colour:
    """How the numbers of a video become light: H.273 codes, and whether the range is full."""

    matrix: int = BT709
    full_range: bool = False
    primaries: int = BT709
    transfer: int = BT709
    deep: bool = False
    """More than 8 bits a component."""

    @property
    def hdr(self) -> bool:
        return self.transfer in (PQ, HLG)


def colour_of(frame: av.VideoFrame) -> Colour:
    """What a decoded frame's tags say; where they are silent, what players assume for its size.

    RGB pictures, and the JPEG variety of YUV in still images, become what video is written in: bt709.
    """
    deep = max(component.bits for component in frame.format.components) > 8
    if frame.format.is_rgb or frame.format.has_palette:
        return Colour(deep=deep)
    matrix, primaries, transfer = int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc)
    if matrix not in _COEFFICIENTS and matrix not in (RGB, UNSPECIFIED):
        raise UserError(f"its colour matrix (H.273 code {matrix}) is not supported: convert it to bt709 first")
    full_range = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    if matrix in (RGB, UNSPECIFIED):
        matrix = _guess(frame) if primaries != BT2020 else BT2020
    # What is silent now would be guessed anew by players from the larger size: say it.
    primaries = _known(primaries, matrix)
    transfer = _known(transfer, {BT470BG: SMPTE170M, BT2020: 14}.get(matrix, matrix))
    return Colour(matrix, full_range, primaries, transfer, deep)


def _known(code: int, otherwise: int) -> int:
    return code if code not in (0, UNSPECIFIED) else otherwise


def _guess(frame: av.VideoFrame) -> int:
    if frame.width >= 1280 or frame.height > 576:
        return BT709
    return BT470BG if frame.height in (288, 576) else SMPTE170M


class ToRGB:
    """Decoded frames → [H, W, 3] arrays of one size: uint8, or uint16 (0..65535) for more than 8 bits."""

    def __init__(self, colour: Colour, width: int, height: int) -> None:
        self._colour, self._width, self._height = colour, width, height
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Raises FFmpegError when the frame's pixel format cannot be read."""
        matrix, full = int(frame.colorspace), self._colour.full_range
        picture = self._reformatter.reformat(
            frame,
            width=self._width,
            height=self._height,
            format="rgb48le" if self._colour.deep else "rgb24",
            src_colorspace=_COEFFICIENTS.get(matrix, _COEFFICIENTS[self._colour.matrix]),
            src_color_range=ColorRange.JPEG if full or frame.format.is_rgb else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=_QUALITY,
        )
        return picture.to_ndarray()


class FromRGB:
    """[H, W, 3] uint8 or uint16 → frames of `pix_fmt` in `colour`."""

    def __init__(self, colour: Colour, pix_fmt: str) -> None:
        self._colour, self._pix_fmt = colour, pix_fmt
        self._rgb = av.VideoFormat(pix_fmt, 16, 16).is_rgb
        self._reformatter = VideoReformatter()

    def __call__(self, image: np.ndarray) -> av.VideoFrame:
        name = "rgb48le" if image.dtype == np.uint16 else "rgb24"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=name)
        full = self._colour.full_range or self._rgb
        frame = self._reformatter.reformat(
            picture,
            format=self._pix_fmt,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=_COEFFICIENTS[self._colour.matrix],
            dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            interpolation=_QUALITY,
        )
        frame.colorspace = RGB if self._rgb else self._colour.matrix
        frame.color_range = ColorRange.JPEG if full else ColorRange.MPEG
        frame.color_primaries, frame.color_trc = self._colour.primaries, self._colour.transfer
        return frame
