"""`video_clips`: any folder of videos and frame folders, cut into examples of seven frames."""

import dataclasses
import fnmatch
import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_pipelines import frames, shards, shots
from data_pipelines.builder import ClipBuilder
from yogo_jax import imaging
from yogo_jax.errors import UserError

LENGTH = 7
"""Frames of an example: four known ones and the three between them."""

_UNIT_BYTES = 16 * 2**20  # small clips share a unit, so that a folder of many makes few shards


@dataclass(frozen=True)
class Clip:
    """A video file, or a folder of images.

    Attributes:
      name: its path below the source, with "/" between folders.
      size: bytes on disk: source footage of another size is another data set.
      shrink: what both sides are divided by (antialiased bicubic); 0 decides by the footage.
    """

    name: str
    path: Path
    size: int
    shrink: int = 0


@dataclass(frozen=True)
class ClipUnit:
    """Some clips, cut at scene changes and then every `stride` frames."""

    clips: tuple[Clip, ...]
    stride: int

    def examples(self) -> Iterator[shards.Example | shards.Skipped]:
        for clip in self.clips:
            yield from _clip_examples(clip, self.stride)


class VideoClips(ClipBuilder):
    """Seven-frame examples of a folder's videos and frame folders, within shots, split by clip.

    A video's frames are stored as PNG, images as they are (shrunk ones as PNG).

    Args:
      source: searched with all its folders. A folder that directly holds seven images or more is a clip; so is
        each video file.
      stride: frames from the start of one example to that of the next. 7 uses each frame once.
      shrink: divide both sides by this, by the antialiased bicubic, so that a codec's artefacts go. "auto": 2 for
        videos whose shorter side has 720 pixels or more, 3 from 1080 on, and none for images.
      exclude: name patterns (`fnmatch`) of clips to leave out.
      held_out: name patterns of the clips of the test split. Without any, `test_fraction` of the clips, chosen by
        a hash of their names, so that adding footage moves no clip from one split to the other.
      kwargs: `data_dir`, `workers` and `max_skipped`: see `ClipBuilder`.
    """

    def __init__(
        self,
        *,
        source: str | Path,
        stride: int = LENGTH,
        shrink: int | str = "auto",
        exclude: Sequence[str] = (),
        held_out: Sequence[str] = (),
        test_fraction: float = 0.1,
        **kwargs,
    ):
        if stride < 1:
            raise UserError(f"stride {stride}: it takes 1 or more frames")
        if shrink != "auto" and not (isinstance(shrink, int) and 1 <= shrink <= 8):
            raise UserError(f"shrink {shrink!r}: it takes 'auto' or a whole number from 1 to 8")
        if not 0 <= test_fraction < 1:
            raise UserError(f"test fraction {test_fraction}: it takes 0 or more, below 1")
        self._source = Path(source).resolve()
        self._stride = stride
        self._shrink = 0 if shrink == "auto" else int(shrink)
        self._exclude = tuple(exclude)
        self._held_out = tuple(held_out)
        self._test_fraction = test_fraction
        super().__init__(**kwargs)

    def _plan(self) -> Mapping[str, Sequence[shards.Unit]]:
        clips = [dataclasses.replace(clip, shrink=self._shrink) for clip in find_clips(self._source)]
        for pattern in (*self._exclude, *self._held_out):
            if not any(fnmatch.fnmatch(clip.name, pattern) for clip in clips):
                raise UserError(f"{pattern!r} matches no clip in {self._source}, such as {clips[0].name!r}")
        clips = [clip for clip in clips if not _matches(clip, self._exclude)]
        plan = {
            split: _units([clip for clip in clips if self._is_test(clip) == (split == "test")], self._stride)
            for split in ("train", "test")
        }
        return {split: units for split, units in plan.items() if units}

    def _is_test(self, clip: Clip) -> bool:
        if self._held_out:
            return _matches(clip, self._held_out)
        digest = hashlib.sha256(clip.name.encode()).digest()
        return int.from_bytes(digest[:8], "big") < self._test_fraction * 2**64


def find_clips(source: Path) -> list[Clip]:
    """All clips below a folder, in the order of their names.

    Raises:
      UserError: no such folder, or no clip in it.
    """
    if not source.is_dir():
        raise UserError(f"{source}: no such folder")
    clips = []
    for folder in frames.folders(source):
        images = frames.image_files(folder)
        if len(images) >= LENGTH:
            size = sum(path.stat().st_size for path in images)
            clips.append(Clip(folder.relative_to(source).as_posix(), folder, size))
        for path in folder.iterdir():
            if path.suffix.lower() in frames.VIDEO_SUFFIXES and path.is_file():
                clips.append(Clip(path.relative_to(source).as_posix(), path, path.stat().st_size))
    if not clips:
        raise UserError(f"{source}: no video in it, and no folder of {LENGTH} PNG or JPEG images")
    return sorted(clips, key=lambda clip: frames.natural_key(clip.name))


def _matches(clip: Clip, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(clip.name, pattern) for pattern in patterns)


def _units(clips: Sequence[Clip], stride: int) -> list[ClipUnit]:
    groups: list[list[Clip]] = []
    for clip in clips:
        if not groups or sum(other.size for other in groups[-1]) + clip.size > _UNIT_BYTES:
            groups.append([])
        groups[-1].append(clip)
    return [ClipUnit(tuple(group), stride) for group in groups]


def _clip_examples(clip: Clip, stride: int) -> Iterator[shards.Example | shards.Skipped]:
    """Windows of frames that follow each other within one shot."""
    images = frames.image_files(clip.path) if clip.path.is_dir() else None
    stream = frames.read_images(images) if images else frames.read_video(clip.path)
    window: deque[frames.Frame] = deque(maxlen=LENGTH)
    current, length = None, 0
    for number, item in enumerate(shots.split_shots(stream)):
        if isinstance(item, shards.Skipped):
            yield item
            continue
        shot, frame = item
        if shot != current:
            window.clear()
            current, length = shot, 0
        window.append(_shrunk(frame, clip))
        length += 1
        if length >= LENGTH and (length - LENGTH) % stride == 0:
            height, width = window[0].pixels.shape[:2]
            start = f"{number - LENGTH + 1:06d}"
            yield shards.Example(f"{clip.name}/{start}", clip.name, [one.encoded for one in window], height, width)


def _shrunk(frame: frames.Frame, clip: Clip) -> frames.Frame:
    shorter = min(frame.pixels.shape[:2])
    shrink = clip.shrink or (1 if clip.path.is_dir() or shorter < 720 else 2 if shorter < 1080 else 3)
    if shrink == 1:
        return frame
    return frames.Frame(imaging.low_resolution(imaging.crop_to_multiple(frame.pixels, shrink), shrink))
