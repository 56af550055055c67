"""How the output is encoded: codec, quality, pixel format, and an encoder that keeps every time."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.codec.context import CodecContext, Flags
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from yogo_jax.errors import UserError
from yogo_jax.video import hdr
from yogo_jax.video.colour import RGB, Colour
from yogo_jax.video.frames import Video

CODECS = {"libx264": "18", "libx265": "20", "libsvtav1": "28", "ffv1": None}
"""The encoders offered, with their default quality (constant rate factor)."""

_LARGEST_SIDE = {"libx264": 16384, "libx265": 16384, "libsvtav1": 16384, "ffv1": 65535}
_FINEST = 2**31 - 1  # ticks in a second that a time base may have
_LARGE = 3840 * 2160  # pixels; above, encoders look ahead less, since each frame they hold is large


@dataclass(frozen=True)
class Encoding:
    """Everything that decides what the encoder writes; two equal ones give the same stream header.

    Attributes:
      options: the encoder's own, by FFmpeg's names.
      time_base: seconds of one tick of the output's times.
      tick: ticks in one of the input divided by the rate: 1, or less where the input's are too fine to divide.
    """

    codec: str
    pix_fmt: str
    options: dict[str, str]
    width: int
    height: int
    time_base: Fraction
    tick: Fraction
    rate: Fraction
    colour: Colour
    sample_aspect_ratio: Fraction

    def configure(self, context: Any) -> None:
        """Set up a codec context, or a stream's."""
        context.width, context.height, context.pix_fmt = self.width, self.height, self.pix_fmt
        context.time_base, context.framerate = self.time_base, self.rate
        context.options = dict(self.options)
        context.flags |= Flags.global_header | Flags.frame_duration
        context.sample_aspect_ratio = self.sample_aspect_ratio
        rgb = av.VideoFormat(self.pix_fmt, 16, 16).is_rgb
        context.colorspace = RGB if rgb else self.colour.matrix
        context.color_range = 2 if self.colour.full_range or rgb else 1
        context.color_primaries, context.color_trc = self.colour.primaries, self.colour.transfer

    def open(self) -> VideoCodecContext:
        """A fresh encoder. Raises UserError when the codec refuses."""
        try:
            context = CodecContext.create(self.codec, "w")
            assert isinstance(context, VideoCodecContext)
            self.configure(context)
            context.open()
        except (FFmpegError, ValueError, TypeError) as error:
            settings = " ".join(f"{name}={value}" for name, value in self.options.items())
            raise UserError(
                f"{self.codec} cannot encode {self.width}x{self.height} {self.pix_fmt} ({settings}): {error}"
            ) from None
        return context


def choose(
    video: Video,
    size: tuple[int, int],
    network_rate: int,
    made: bool,
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
) -> Encoding:
    """What `video` becomes at `size` (width, height), with the user's wishes. Raises UserError.

    The network gives `network_rate` frames for each of the video's; only with `made` are the new ones shown.
    Eight bits become H.264, more become 10-bit HEVC: what plays on most machines.
    """
    colour, (width, height) = video.colour, size
    codec = codec or ("libx265" if colour.deep else "libx264")
    even = width % 2 == 0 and height % 2 == 0
    if pix_fmt is None:
        pix_fmt = ("yuv420p" if even else "yuv444p") + ("10le" if colour.deep else "")
    if max(width, height) > _LARGEST_SIDE[codec]:
        raise UserError(
            f"the output would be {width}x{height}, and {codec} writes at most {_LARGEST_SIDE[codec]} a side:"
            " name a folder as OUTPUT (PNG), or shrink the input"
        )
    options: dict[str, str] = {}
    if CODECS[codec] is not None:
        options["crf"] = f"{crf:g}" if crf is not None else str(CODECS[codec])
        options["preset"] = preset or ("8" if codec == "libsvtav1" else "medium")
    elif crf is not None or preset is not None:
        raise UserError(f"{codec} is lossless and takes neither --crf nor --preset")
    else:
        options |= {"level": "3", "slices": "4", "slicecrc": "1"}
    if video.hdr:
        options |= hdr.encoder_options(codec, video.hdr)
    if codec == "libx264" and width * height > _LARGE:
        options |= {"rc-lookahead": "10", "threads": "4"}
    if codec == "libx265":
        quiet = "log-level=error" + (":rc-lookahead=10" if width * height > _LARGE else "")
        options["x265-params"] = ":".join(filter(None, [options.get("x265-params"), quiet]))
    fine = video.time_base / network_rate
    time_base = fine if fine.denominator <= _FINEST else video.time_base
    return Encoding(
        codec=codec,
        pix_fmt=_checked(codec, pix_fmt),
        options=options,
        width=width,
        height=height,
        time_base=time_base,
        tick=fine / time_base,
        rate=(video.rate * (network_rate if made else 1)).limit_denominator(100_000),
        colour=colour,
        sample_aspect_ratio=video.sample_aspect_ratio.limit_denominator(65535),
    )


def _checked(codec: str, pix_fmt: str) -> str:
    known = [each.name for each in av.Codec(codec, "w").video_formats or []]
    if pix_fmt not in known:
        raise UserError(f"{codec} does not write pixel format {pix_fmt!r}; it writes {', '.join(known)}")
    return pix_fmt
