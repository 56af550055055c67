"""Where the clips of a test set lie, and how their frames are read: one at a time, each one checked.

An image is 8-bit RGB, or its clip is refused with a line that says what it is. Videos are read as 8-bit RGB.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data_pipelines import frames as footage
from data_pipelines import vid4
from data_pipelines.builder import CLIPS_FILE
from data_pipelines.source import Source
from data_pipelines.vimeo90k_septuplet import read_list
from yogo_jax.errors import UserError

VIMEO = {"vimeo90k-fast": 1225, "vimeo90k-medium": 4977, "vimeo90k-slow": 1613}
"""Clips of the lists that Zooming Slow-Mo drew from the septuplet test set (`fast_testset.txt` and so on)."""

DATASETS = ("vid4", *VIMEO, "folder")


class ClipError(UserError):
    """A clip that cannot be scored; the others can."""


@dataclass(frozen=True)
class Clip:
    """A clip that is read when it is needed.

    Attributes:
        name: unique in its test set.
        read: opens it and yields (what to call the frame, [H, W, 3] uint8 RGB).
    """

    name: str
    read: Callable[[], Iterator[tuple[str, np.ndarray]]]

    def frames(self) -> Iterator[np.ndarray]:
        """Yield frames [H, W, 3], uint8 RGB, all of one size.

        Raises:
            ClipError: a file that is no 8-bit RGB image or cannot be decoded, or a size that changes.
        """
        size = None
        for label, frame in self.read():
            size = size or frame.shape
            if frame.shape != size:
                height, width, _ = frame.shape
                raise ClipError(f"{self.name}: {label} is {width}×{height}, the frames before it {size[1]}×{size[0]}")
            yield frame


@dataclass(frozen=True)
class TestSet:
    """The clips of a test set that `source` holds, by `listing` if one was given, and the names of those missing."""

    __test__ = False  # not a test case

    name: str
    source: Path
    clips: tuple[Clip, ...]
    missing: tuple[str, ...] = ()
    listing: Path | None = None


def find_clips(data: str, source: Path, listing: Path | None = None) -> TestSet:
    """Look for the clips of `data`, one of `DATASETS`, in the folder `source`.

    - vid4: a folder of frames for each of the four clips.
    - vimeo90k-fast, -medium, -slow: the septuplets named in `listing` (default: `fast_testset.txt` and so on
      in `source`), as `sequences/00001/0266/im1.png` … `im7.png`.
    - folder: every folder in `source`, at any depth, that holds images is a clip; every video file is one too.

    The published sets may also lie in `source` as `yogo data build` made them.

    Raises:
        UserError: no such folder or list, or not one clip in it.
    """
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; --source is the folder that holds the clips of {data}")
    missing: list[str] = []
    if data == "folder":
        clips = list(_walk(source))
    elif (built := _built(data, source)) is not None:
        clips = built
    else:
        candidates = _vid4(source) if data == "vid4" else _septuplets(source, listing or source / _list_name(data))
        clips = [Clip(name, functools.partial(_images, name, files)) for name, files in candidates.items() if files]
        missing = [name for name, files in candidates.items() if not files]
    if not clips:
        raise UserError(f"{source}: not one clip of {data} in it" + (f", such as {missing[0]}" if missing else ""))
    return TestSet(data, source, tuple(clips), tuple(missing), listing)


def published_frames(data: str) -> dict[str, int]:
    """Frames that a published set has in each clip, where they differ; empty for other sets."""
    return vid4.CLIPS if data == "vid4" else {}


def _vid4(source: Path) -> dict[str, Sequence[Path]]:
    return {name: footage.image_files(source / name) if (source / name).is_dir() else () for name in vid4.CLIPS}


def _list_name(data: str) -> str:
    return f"{data.removeprefix('vimeo90k-')}_testset.txt"


def _septuplets(source: Path, listing: Path) -> dict[str, Sequence[Path]]:
    found = {}
    for name in read_list(listing):
        files = [source / "sequences" / name / f"im{number}.png" for number in range(1, 8)]
        found[name] = files if all(file.is_file() for file in files) else ()
    return found


def _built(data: str, source: Path) -> list[Clip] | None:
    """The clips of a set that was built in `source`, or None."""
    name, split = ("vid4", "test") if data == "vid4" else ("vimeo90k_septuplet", data.removeprefix("vimeo90k-"))
    if not any(source.glob(f"{name}/*/{CLIPS_FILE}")):
        return None
    examples = Source(source, name, split)

    def read(index: int) -> Iterator[tuple[str, np.ndarray]]:
        return ((f"frame {i}", frame) for i, frame in enumerate(examples[index].frames))

    return [Clip(examples.identify(index), functools.partial(read, index)) for index in range(len(examples))]


def _walk(source: Path) -> Iterator[Clip]:
    for folder in footage.folders(source):
        if files := footage.image_files(folder):
            name = folder.relative_to(source).as_posix() if folder != source else source.resolve().name
            yield Clip(name, functools.partial(_images, name, files))
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in footage.VIDEO_SUFFIXES and not file.is_dir():
                name = file.relative_to(source).as_posix()
                yield Clip(name, functools.partial(_video, name, file))


def _images(name: str, files: Sequence[Path]) -> Iterator[tuple[str, np.ndarray]]:
    for file in files:
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                kind = "16-bit" if _is_deep(image) else image.mode
                if kind != "RGB":
                    kind = {"L": "grey", "LA": "grey", "1": "1-bit", "P": "palette"}.get(kind, kind)
                    raise ClipError(f"{name}: {file.name} is a {kind} image; frames are 8-bit RGB")
                frame = np.asarray(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ClipError(f"{name}: {file.name} cannot be read ({reason})") from error
        yield file.name, frame


def _is_deep(image: Image.Image) -> bool:
    """More than 8 bits a sample: also in the colour PNGs that Pillow would cut to 8 without a word."""
    return image.mode.startswith(("I", "F")) or any("16B" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _video(name: str, file: Path) -> Iterator[tuple[str, np.ndarray]]:
    for index, frame in enumerate(footage.read_video(file)):
        if not isinstance(frame, footage.Frame):
            raise ClipError(str(frame).replace(str(file), name, 1))
        yield f"frame {index}", frame.pixels
