"""Read source footage frame by frame: folders of images, and videos through FFmpeg."""

import functools
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from PIL import Image, UnidentifiedImageError

from data_pipelines.shards import Skipped

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg"}
VIDEO_SUFFIXES = {
    *(".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
    *(".mpg", ".mts", ".ts", ".webm", ".wmv", ".y4m"),
}


@dataclass(frozen=True)
class Frame:
    """One frame: its pixels [H, W, 3] uint8 RGB, and the bytes of its file where it is an image."""

    pixels: np.ndarray
    file: bytes | None = None

    @functools.cached_property
    def encoded(self) -> bytes:
        """The file's own bytes, or a lossless PNG."""
        if self.file is not None:
            return self.file
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, "PNG", compress_level=3)
        return buffer.getvalue()


def read_image(path: Path) -> Frame | Skipped:
    """One image file, decoded to the end (a truncated one is found out here, not in training)."""
    try:
        encoded = path.read_bytes()
        return Frame(decode_image(encoded), encoded)
    except FileNotFoundError:
        return Skipped(str(path), "missing")
    except UnidentifiedImageError:
        return Skipped(str(path), "unreadable (neither PNG nor JPEG)")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Skipped(str(path), f"unreadable ({_first_line(error)})")


def decode_image(encoded: bytes) -> np.ndarray:
    """PNG or JPEG bytes → [H, W, 3] uint8 RGB."""
    with Image.open(io.BytesIO(encoded), formats=("PNG", "JPEG")) as image:
        return np.asarray(image.convert("RGB"))


def folders(source: Path) -> Iterator[Path]:
    """A folder and those below it, sorted; links are followed, to each folder once."""
    entered: set[Path] = set()
    for path, below, _ in os.walk(source, followlinks=True):
        resolved = Path(path).resolve()
        if resolved in entered:  # a link that leads back
            below.clear()
            continue
        entered.add(resolved)
        below.sort()
        yield Path(path)


def image_files(folder: Path) -> list[Path]:
    """The images of one folder, in the order of the numbers in their names (im2 before im10)."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(files, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sorts digits by their value."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]


def read_images(paths: Sequence[Path]) -> Iterator[Frame | Skipped]:
    """Image files as frames; those of another size than the first are skipped."""
    return _of_one_size(zip(map(str, paths), map(read_image, paths), strict=True))


def read_video(path: Path) -> Iterator[Frame | Skipped]:
    """Every frame of a video's first picture stream, in 8 bits; what does not decode is skipped."""
    return _of_one_size(_decode(path))


def _decode(path: Path) -> Iterator[tuple[str, Frame | Skipped]]:
    number = 0
    try:
        with av.open(str(path)) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                yield str(path), Skipped(str(path), "no picture stream")
                return
            stream.thread_type = "AUTO"
            for packet in container.demux(stream):
                try:
                    decoded = packet.decode()
                except av.error.InvalidDataError as error:
                    where = f"{path}, near frame {number}"
                    yield where, Skipped(where, f"unreadable ({_first_line(error)})")
                    continue
                for frame in decoded:
                    yield f"{path}, frame {number}", Frame(frame.to_ndarray(format="rgb24"))
                    number += 1
    except (av.error.FFmpegError, OSError) as error:
        yield str(path), Skipped(str(path), f"unreadable after {number} frames ({_first_line(error)})")


def _of_one_size(frames: Iterator[tuple[str, Frame | Skipped]]) -> Iterator[Frame | Skipped]:
    size = None
    for where, frame in frames:
        if isinstance(frame, Frame):
            size = size or frame.pixels.shape
            if frame.pixels.shape != size:
                (height, width), (first_height, first_width) = frame.pixels.shape[:2], size[:2]
                frame = Skipped(where, f"{width}x{height}, but the first frame has {first_width}x{first_height}")
        yield frame


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "strerror", None) or error).strip()  # FFmpeg's numbers and paths say nothing more
    return text.splitlines()[0] if text else type(error).__name__
