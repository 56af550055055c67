"""Video files, frame by frame, with their exact times.

The file may be damaged or made to do harm: frames are bounded in size, damaged packets are counted and passed
over, times that are missing, leap or run backwards are put right.
"""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.video.stream import VideoStream

from yogo_jax.errors import UserError
from yogo_jax.video import hdr
from yogo_jax.video.colour import ToRGB, colour_of
from yogo_jax.video.container import main_video, open_container, reason
from yogo_jax.video.deinterlace import deinterlaced
from yogo_jax.video.frames import Frame, Video

MAX_SIDE = 16384
DECODER = {"max_pixels": str(MAX_SIDE * MAX_SIDE)}
"""Options of every decoder."""

_LARGEST_TIME = 2**60  # ticks; beyond it sums overflow
_LONGEST_FRAME = 2**31 - 1  # ticks; the most that MP4 holds. A longer leap is a damaged clock
_LATE_CLOCK = 10  # seconds; broadcasts' clocks start anywhere, others near 0
_SLOWEST_RATE, _FASTEST_RATE = Fraction(1, 100), 1000  # frames a second; files that claim others are damaged
_FINEST_TICK, _USUAL_TICK = Fraction(1, 2**31 - 1), Fraction(1, 90_000)  # seconds
_DAMAGED_PACKETS = 2000  # in a row, after which the rest is given up
_RUN_UPS = (0, 10)  # seconds before the start of a part at which to enter the file; many land late
_TOO_SHORT = 1.0  # seconds that a video may fall short of what its file claims: sound may last longer


def exact(seconds: float) -> Fraction:
    """The time that was meant by a floating-point number: 0.6 is three fifths."""
    return Fraction(seconds).limit_denominator(1_000_000)


class VideoReader:
    """A video file: `.video` describes it, iterating yields its frames in order.

    Args:
      path: the file.
      start, end: seconds from the beginning of the video; frames outside are left out.
      deinterlace: weave the fields of interlaced frames into whole ones.
      tolerant: take a file that is known to be cut short for what it still holds.

    Raises UserError when it cannot be opened or has no video; iterating raises it when no frame can be decoded.
    `damaged` counts packets that had to be passed over; `warnings` are for the user. `begin` is the time on the
    file's clock (seconds) that should become 0: of recordings whose clock started long before them.
    """

    def __init__(
        self,
        path: Path,
        start: float = 0.0,
        end: float | None = None,
        *,
        deinterlace: bool = True,
        tolerant: bool = False,
    ) -> None:
        self.path, self._start, self._deinterlace = path, exact(start), deinterlace
        self._end = None if end is None else exact(end)
        self.damaged = 0
        self.warnings: list[str] = []
        with open_container(path) as container:
            stream = self._stream(container)
            self.begin = _clock_start(container)
            if not tolerant:
                self._check_whole(stream)
            frame = next(self._decode(container, stream), None)
            if frame is None:
                raise UserError(f"{path} has no frame that can be decoded: the file is damaged or empty")
            self.video = self._describe(container, stream, frame)
            self._origin = self._ticks(frame, frame.pts) or 0
        self.damaged = 0

    def __iter__(self) -> Iterator[Frame]:
        for early in (*_RUN_UPS, None) if self._start > 0 else (None,):
            with open_container(self.path) as container:
                stream = self._stream(container)
                frames = self._entered(container, stream, early)
                if frames is None:
                    continue
                yield from self._timed(self._woven(frames, stream) if self._deinterlace else frames)
                return

    def _woven(self, frames: Iterator[av.VideoFrame], stream: VideoStream) -> Iterator[av.VideoFrame]:
        begun = f"{self.path}: interlaced; its fields are woven into whole frames (--interlaced keeps them)"
        try:
            yield from deinterlaced(frames, stream, lambda: self._warn(begun))
        except FFmpegError as error:
            raise UserError(
                f"{self.path}: its fields cannot be woven ({reason(error)}): --interlaced keeps them"
            ) from None

    def _entered(
        self, container: InputContainer, stream: VideoStream, early: int | None
    ) -> Iterator[av.VideoFrame] | None:
        """Frames from `early` seconds before the start on; None when entering the file there lands behind the start.

        Without `early` all frames: what always works, and takes longest.
        """
        if early is None:
            return self._decode(container, stream)
        if container.format.name == "mpeg":  # program streams: times told after entering midway are off by a frame
            return None
        origin = self._origin * self.video.time_base
        try:
            container.seek(int((origin + self._start - early) * av.time_base))
        except FFmpegError:
            return None
        frames = self._decode(container, stream)
        first = next(frames, None)
        ticks = None if first is None else self._ticks(first, first.pts)
        if first is None or ticks is None or ticks * self.video.time_base > origin + self._start:
            return None
        self.damaged = 0  # what could not be decoded here lacked the frames before it
        return chain([first], frames)

    def _stream(self, container: InputContainer) -> VideoStream:
        stream = main_video(container)
        if stream is None:
            raise UserError(f"{self.path} has no video stream")
        if stream.codec_context is None:
            raise UserError(f"{self.path}: its video is in a codec that this FFmpeg cannot decode")
        stream.thread_type = "AUTO"
        stream.codec_context.options = dict(DECODER)
        return stream

    def _check_whole(self, stream: VideoStream) -> None:
        """An index that points past the end of the file means that the rest is missing."""
        size = self.path.stat().st_size
        needed = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
        if needed > size:
            raise UserError(
                f"{self.path} is truncated: it has {size} bytes of at least {needed}; --damaged takes what is there"
            )

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        """Frames in presentation order; what cannot be decoded is counted."""
        row = 0
        packets = container.demux(stream)
        while row < _DAMAGED_PACKETS:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (FFmpegError, OSError) as error:
                self.damaged += 1
                self._warn(f"{self.path}: reading stops early ({reason(error)})")
                yield from self._flush(stream)
                return
            try:
                decoded = packet.decode()
                row = 0
            except (FFmpegError, ValueError):
                self.damaged += 1
                row += 1
                continue
            for frame in decoded:
                if isinstance(frame, av.VideoFrame) and frame.width and frame.height:
                    yield frame

    def _flush(self, stream: VideoStream) -> Iterator[av.VideoFrame]:
        with contextlib.suppress(FFmpegError):
            yield from stream.decode(None)

    def _timed(self, frames: Iterator[av.VideoFrame]) -> Iterator[Frame]:
        video = self.video
        to_rgb = ToRGB(video.colour, video.width, video.height)
        step = max(1, round(1 / video.rate / video.time_base))
        last, end = None, None
        for frame in frames:
            pts = self._ticks(frame, frame.pts)
            if last is None:
                pts = self._origin if pts is None else pts
            elif pts is None or not 0 < pts - last <= _LONGEST_FRAME:
                pts = last + step
            last = pts
            duration = self._ticks(frame, frame.duration) or 0
            duration = duration if 0 < duration <= _LONGEST_FRAME else step
            seconds = (pts - self._origin) * video.time_base
            if self._end is not None and seconds >= self._end:
                return
            if seconds + duration * video.time_base <= self._start:
                continue
            changed = (frame.width, frame.height) != (video.width, video.height)
            if changed:
                self._warn(
                    f"{self.path}: the picture changes size midway; all is brought to {video.width}x{video.height}"
                )
            try:
                image = to_rgb(frame)
            except (FFmpegError, ValueError) as error:
                raise UserError(
                    f"{self.path}: pixel format {frame.format.name} cannot be read ({reason(error)})"
                ) from None
            end = seconds + duration * video.time_base
            yield Frame(image, pts, duration)
        if end is None:
            raise UserError(f"{self.path} has no frame between the times asked for")
        self._tell_of_losses(float(end))

    def _tell_of_losses(self, end: float) -> None:
        """Warn of what did not come out of the file, all of whose frames have been read up to `end` seconds."""
        if self.damaged:
            self._warn(f"{self.path}: {self.damaged} damaged packets were passed over")
        claimed = self.video.duration or 0.0
        if claimed - end > max(_TOO_SHORT, claimed / 20):
            self._warn(f"{self.path}: its video ends after {end:.1f} s of the {claimed:.1f} s that the file claims")

    def _ticks(self, frame: av.VideoFrame, time: int | None) -> int | None:
        """A time of the frame's, which a filter may count more finely, in the video's ticks."""
        if time is None or frame.time_base is None or abs(time) > _LARGEST_TIME:
            return None
        return round(time * frame.time_base / self.video.time_base)

    def _describe(self, container: InputContainer, stream: VideoStream, frame: av.VideoFrame) -> Video:
        if max(frame.width, frame.height) > MAX_SIDE:
            raise UserError(f"{self.path}: frames of {frame.width}x{frame.height}; {MAX_SIDE} a side is the most")
        try:
            colour = colour_of(frame)
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from None
        if any(component.is_alpha for component in frame.format.components):
            self._warn(f"{self.path}: transparency is dropped")
        rates = (stream.average_rate, stream.guessed_rate)
        rate = next((r for r in rates if r and _SLOWEST_RATE <= r <= _FASTEST_RATE), Fraction(25))
        duration = None
        if stream.duration is not None and stream.time_base:
            duration = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            duration = container.duration / av.time_base
        if duration is not None and not 0 < duration < 1e7:
            duration = None
        time_base = stream.time_base or _USUAL_TICK
        if not (_FINEST_TICK <= time_base <= 1 and time_base.numerator < 1_000_000):
            time_base = _USUAL_TICK
        return Video(
            width=frame.width,
            height=frame.height,
            time_base=time_base,
            rate=rate,
            duration=duration,
            colour=colour,
            sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
            display_matrix=_display_matrix(frame),
            hdr=hdr.metadata(frame),
        )

    def _warn(self, line: str) -> None:
        if line not in self.warnings:
            self.warnings.append(line)


def _clock_start(container: InputContainer) -> Fraction:
    start = container.start_time
    seconds = Fraction(start, av.time_base) if start is not None and abs(start) < _LARGEST_TIME else Fraction(0)
    return seconds if abs(seconds) > _LATE_CLOCK else Fraction(0)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    data = hdr.side_data(frame, Type.DISPLAYMATRIX)
    if data is None or len(data) < 36:
        return None
    a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(data[:36], np.int32))
    one = 1 << 16
    # Only the turning part: the shift that a container adds depends on the size.
    return None if (a, b, c, d) == (one, 0, 0, one) else (a, b, 0, c, d, 0, 0, 0, 1 << 30)
