"""Folders of images: read as a video, and written as PNG."""

import math
import os
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from yogo_jax.errors import UserError
from yogo_jax.video.colour import Colour, ToRGB, colour_of
from yogo_jax.video.container import open_image, reason
from yogo_jax.video.frames import Frame, Video
from yogo_jax.video.reader import DECODER, MAX_SIDE, exact

_ENDINGS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".exr"}


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, numbers in their names in numerical order (2 before 10). Raises UserError."""
    try:
        files = [path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS and path.name[0] != "."]
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from None
    if not files:
        raise UserError(f"{folder} holds no images ({', '.join(sorted(_ENDINGS))})")
    return sorted(
        files, key=lambda path: [(len(n), n) if n.isdigit() else (0, n) for n in re.split(r"(\d+)", path.name)]
    )


class FolderReader:
    """A folder of images as a video of `fps` frames a second; the counterpart of VideoReader."""

    def __init__(self, path: Path, fps: float, start: float = 0.0, end: float | None = None) -> None:
        self.path, self.begin = path, Fraction(0)
        self.damaged, self.warnings = 0, []
        rate = Fraction(fps).limit_denominator(1001)
        files = image_files(path)
        last = len(files) if end is None else math.ceil(exact(end) * rate)
        self._files = list(enumerate(files))[int(exact(start) * rate) : last]
        if not self._files:
            raise UserError(f"{path} has no image between the times asked for")
        first = _decode(self._files[0][1])
        colour = colour_of(first)
        if max(first.width, first.height) > MAX_SIDE:
            raise UserError(f"{files[0]}: {first.width}x{first.height} pixels; {MAX_SIDE} a side is the most")
        if any(component.is_alpha for component in first.format.components):
            self.warnings.append(f"{path}: transparency is dropped")
        # Pictures become video of the usual kind, whatever YUV they were stored in.
        self.video = Video(
            first.width, first.height, 1 / rate, rate, len(files) / float(rate), Colour(deep=colour.deep)
        )

    def __iter__(self) -> Iterator[Frame]:
        video = self.video
        for number, path in self._files:
            picture = _decode(path)
            if (picture.width, picture.height) != (video.width, video.height):
                raise UserError(
                    f"{path} is {picture.width}x{picture.height}, the images before it"
                    f" {video.width}x{video.height}: all must be of one size"
                )
            colour = Colour(colour_of(picture).matrix, colour_of(picture).full_range, deep=video.colour.deep)
            yield Frame(ToRGB(colour, video.width, video.height)(picture), number, 1)


def _decode(path: Path) -> av.VideoFrame:
    with open_image(path) as container:
        try:
            container.streams.video[0].codec_context.options = dict(DECODER)
            return next(container.decode(video=0))
        except (FFmpegError, OSError, StopIteration, ValueError, IndexError) as error:
            raise UserError(f"{path} cannot be read as an image ({reason(error)})") from None


def lost_in_pictures(video: Video) -> list[str]:
    """What PNG files do not carry of the video, a line each. Raises UserError for HDR, which would look wrong."""
    if video.colour.hdr or video.hdr:
        raise UserError("a folder of PNG cannot carry HDR (PQ, HLG): name an output that ends in .mp4 or .mkv")
    lines = []
    if video.sample_aspect_ratio != 1:
        lines.append(f"PNG files do not carry the pixel aspect ratio {video.sample_aspect_ratio}: they look squeezed")
    if video.display_matrix and _right_angles(video.display_matrix) is None:
        lines.append("the video is shown turned by an odd angle; the PNG files are not turned")
    return lines


def _right_angles(matrix: tuple[int, ...]) -> tuple[bool, bool, bool] | None:
    """(swap rows and columns, then mirror rows, then mirror columns) of a display matrix, None for other angles.

    The matrix sends the point (x, y) to (a·x + c·y, b·x + d·y); its first rows are a, b, _ and c, d, _.
    """
    a, b, _, c, d, *_ = matrix
    if b == c == 0 and a and d:
        return False, d < 0, a < 0
    if a == d == 0 and b and c:
        return True, b < 0, c < 0
    return None


class PngFolder:
    """Numbered PNG files in `folder`; `done` of them are there and whole.

    The pictures are turned as the display matrix says, when that is by right angles.
    """

    def __init__(self, folder: Path, display_matrix: tuple[int, ...] | None = None) -> None:
        swap, rows, columns = (display_matrix and _right_angles(display_matrix)) or (False, False, False)
        self._axes = (1, 0, 2) if swap else (0, 1, 2)
        self._steps = np.s_[:: -1 if rows else 1, :: -1 if columns else 1]
        self._folder, self._aside = folder, folder / "aside.part"
        folder.mkdir(exist_ok=True)
        self.done = 0
        while self._path(self.done).exists():
            self.done += 1

    def write(self, image: np.ndarray, pts: int, duration: int) -> None:
        """The next frame after those `done`; images carry no times."""
        del pts, duration
        target = self._path(self.done)
        with open(self._aside, "wb") as file:
            file.write(_png(image.transpose(self._axes)[self._steps]))
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._aside, target)
        self.done += 1

    def finish(self) -> None:
        """Nothing is left in hand: every file is whole."""

    def abandon(self) -> None:
        """Give up the file in hand."""
        self._aside.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.png"


def _png(image: np.ndarray) -> bytes:
    """[H, W, 3] uint8 or uint16 → a PNG file of as many bits."""
    deep = image.dtype == np.uint16
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb48le" if deep else "rgb24")
    if deep:
        frame = frame.reformat(format="rgb48be")
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.time_base = Fraction(1, 25)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
