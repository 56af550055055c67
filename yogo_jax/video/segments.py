"""Finished work kept beside the output, so that a run that was broken off goes on where it was.

The encoded video is kept in segments of a fixed number of frames, each by an encoder of its own: what a
segment holds does not depend on when the run was interrupted. A segment is written aside, flushed to the
disk and renamed, so one that has its name is whole.
"""

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yogo_jax.video.colour import FromRGB
from yogo_jax.video.encoding import Encoding

_PACKET = struct.Struct("<qqBI")  # pts, duration, key frame, bytes
_PIXELS = 250_000_000  # of a segment, roughly: how much work a crash may cost
_FEWEST, _MOST = 24, 240  # frames of a segment


class Packet(NamedTuple):
    """An encoded frame; times in ticks of the encoding's time base."""

    pts: int
    duration: int
    key: bool
    data: bytes


def segment_frames(encoding: Encoding) -> int:
    """Output frames of one segment: fewer when they are large."""
    return min(_MOST, max(_FEWEST, _PIXELS // (encoding.width * encoding.height)))


class Segments:
    """The segments of one video in `folder`."""

    def __init__(self, folder: Path, encoding: Encoding) -> None:
        self._folder, self.encoding = folder, encoding
        self._size = segment_frames(encoding)
        folder.mkdir(exist_ok=True)
        self._count = 0
        while self._path(self._count).exists():
            self._count += 1
        self._open: _Segment | None = None
        before = read(self._path(self._count - 1), data=False) if self._count else ()
        self._last = max((packet.pts for packet in before), default=None)
        self._from_rgb = FromRGB(encoding.colour, encoding.pix_fmt)

    @property
    def done(self) -> int:
        """Output frames in finished segments."""
        return self._count * self._size

    def write(self, image: np.ndarray, pts: int, duration: int) -> None:
        """The next frame after those `done`; image [H, W, 3], times in the input's ticks divided by the rate."""
        if self._open is None:
            self._open = _Segment(self._path(self._count), self.encoding)
        ticks = self.encoding.tick
        # Only where ticks are too fine to divide can two times round to one.
        last = self._last = round(pts * ticks) if self._last is None else max(self._last + 1, round(pts * ticks))
        self._open.write(self._from_rgb(image), last, max(1, round(duration * ticks)))
        if self._open.frames == self._size:
            self.finish()

    def finish(self) -> None:
        """Close the segment in hand."""
        if self._open is not None:
            self._open.finish()
            self._open = None
            self._count += 1

    def abandon(self) -> None:
        """Give up the segment in hand."""
        if self._open is not None:
            self._open.abandon()
            self._open = None

    def packets(self) -> Iterator[Packet]:
        """All packets of all segments in decoding order."""
        for number in range(self._count):
            yield from read(self._path(number))

    def times(self) -> list[np.ndarray]:
        """Presentation times (int64) in decoding order, segment by segment."""
        heads = (read(self._path(number), data=False) for number in range(self._count))
        return [np.fromiter((packet.pts for packet in packets), np.int64) for packets in heads]

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.segment"


class _Segment:
    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._path, self._aside = path, path.with_suffix(".part")
        self._encoder = encoding.open()
        self._time_base = encoding.time_base
        self._durations: dict[int, int] = {}
        self._file = open(self._aside, "wb")  # noqa: SIM115 (closed in finish and abandon)
        self.frames = 0

    def write(self, frame, pts: int, duration: int) -> None:
        frame.pts, frame.time_base, frame.duration = pts, self._time_base, duration
        self._durations[pts] = duration
        self.frames += 1
        self._store(self._encoder.encode(frame))

    def finish(self) -> None:
        self._store(self._encoder.encode(None))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._aside, self._path)

    def abandon(self) -> None:
        with contextlib.suppress(OSError):  # a full disk refuses what is left in the buffer once more
            self._file.close()
        self._aside.unlink(missing_ok=True)

    def _store(self, packets) -> None:
        for packet in packets:
            data = bytes(packet)
            head = _PACKET.pack(packet.pts, self._durations.pop(packet.pts), packet.is_keyframe, len(data))
            self._file.write(head + data)


def read(path: Path, *, data: bool = True) -> Iterator[Packet]:
    """The packets of a finished segment; without `data` only their heads."""
    with open(path, "rb") as file:
        while head := file.read(_PACKET.size):
            pts, duration, key, size = _PACKET.unpack(head)
            content = file.read(size) if data else b""
            if not data:
                file.seek(size, os.SEEK_CUR)
            yield Packet(pts, duration, bool(key), content)
