"""A built data set: its clips, and its examples read at random."""

import fnmatch
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from data_pipelines.builder import CLIPS_FILE
from data_pipelines.frames import decode_image
from data_pipelines.shards import ClipRun
from yogo_jax.errors import UserError

_CLIPS_SHOWN = 40


@dataclass(frozen=True)
class Clip:
    """One stored example: its names, and its frames as they were decoded.

    Attributes:
      id, clip: see `shards.Example`.
      frames: [T, H, W, 3] uint8 RGB.
    """

    id: str
    clip: str
    frames: np.ndarray


class _Encoded(tfds.decode.SkipDecoding):
    """`SkipDecoding` for a sequence that is read without TensorFlow, which TFDS's own lacks."""

    def decode_batch_example_np(self, serialized_example):
        return serialized_example


class Source:
    """One split of one data set; `source[index]` decodes one example.

    Args:
      data_dir, name, split: which one. Splits may be joined, as TFDS has it: "fast+medium".
      cache_bytes: decoded examples to keep in memory, the first ones that are read; 0 keeps none.

    Attributes:
      runs: the examples' clips and sizes, in order.

    Raises:
      UserError: it has not been built there, or has no such split.
    """

    def __init__(self, data_dir: str | Path, name: str, split: str, cache_bytes: int = 0):
        self.directory, clips = _open(data_dir, name)
        self.runs: list[ClipRun] = []
        for part in split.split("+"):
            if part not in clips["splits"]:
                raise UserError(f"{self.directory} has no split {part!r}: it has {', '.join(clips['splits'])}")
            self.runs += [ClipRun(*run) for run in clips["splits"][part]]
        builder = tfds.builder_from_directory(self.directory)
        decoders = {"frames": _Encoded()}
        self._examples = builder.as_data_source(split, decoders=decoders)  # pyright: ignore[reportCallIssue]
        self._cache: dict[int, Clip] = {}
        self._room = cache_bytes

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Clip:
        if (kept := self._cache.get(index)) is not None:
            return kept
        example = self._examples[index]
        frames = np.stack([decode_image(encoded) for encoded in example["frames"]])
        clip = Clip(example["id"].decode(), example["clip"].decode(), frames)
        if frames.nbytes <= self._room:
            self._room -= frames.nbytes
            self._cache[index] = clip
        return clip

    def identify(self, index: int) -> str:
        """An example's `id`, without decoding its frames."""
        return self._examples[index]["id"].decode()

    def matching(self, pattern: str) -> np.ndarray:
        """Indices of the examples whose clip's name matches (`fnmatch`)."""
        matches = [fnmatch.fnmatch(run.clip, pattern) for run in self.runs]
        return np.flatnonzero(np.repeat(matches, [run.examples for run in self.runs]))


def splits(data_dir: str | Path, name: str) -> list[str]:
    """The names of a data set's splits."""
    return list(_open(data_dir, name)[1]["splits"])


def summary(data_dir: str | Path, name: str) -> str:
    """Splits, counts, sizes and clips, for people."""
    directory, clips = _open(data_dir, name)
    size = sum(path.stat().st_size for path in directory.glob("*.array_record*"))
    lines = [f"{directory}  {size / 1e9:.2f} GB, {len(clips['skipped'])} skipped"]
    for split, runs in clips["splits"].items():
        runs = [ClipRun(*run) for run in runs]
        by_clip: dict[str, list[ClipRun]] = {}
        for run in runs:
            by_clip.setdefault(run.clip, []).append(run)
        total = sum(run.examples for run in runs)
        lines.append(f"{split}: {total} examples of {len(by_clip)} clips")
        for clip, members in islice(by_clip.items(), _CLIPS_SHOWN):
            sizes = ", ".join(sorted({f"{run.width}x{run.height}" for run in members}))
            lines.append(f"  {sum(run.examples for run in members):6d}  {sizes:>9}  {clip}")
        if len(by_clip) > _CLIPS_SHOWN:
            lines.append(f"  … and {len(by_clip) - _CLIPS_SHOWN} more clips")
    return "\n".join(lines)


def _open(data_dir: str | Path, name: str) -> tuple[Path, dict]:
    """The newest version's folder, and its list of clips."""
    found = sorted(Path(data_dir).glob(f"{name}/[0-9]*/{CLIPS_FILE}"))  # not what an interrupted build left
    if not found:
        raise UserError(f"{data_dir} has no data set {name!r}: `yogo data build {name}` makes it")
    return found[-1].parent, json.loads(found[-1].read_text())
