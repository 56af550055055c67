"""`vid4`: the benchmark's four clips, whole. Windows are the evaluation protocol's affair."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_pipelines import frames, shards
from data_pipelines.builder import ClipBuilder
from yogo_jax.errors import UserError

CLIPS = {"calendar": 41, "city": 34, "foliage": 49, "walk": 47}
"""The clips and how many frames each has: 171 in all."""


@dataclass(frozen=True)
class Vid4Unit:
    """One clip's folder."""

    folder: Path

    def examples(self) -> Iterator[shards.Example | shards.Skipped]:
        images: list[frames.Frame] = []
        for frame in frames.read_images(frames.image_files(self.folder)):
            if isinstance(frame, shards.Skipped):
                raise UserError(f"{frame}: Vid4 is scored on all its frames")
            images.append(frame)
        name, expected = self.folder.name, CLIPS[self.folder.name]
        if len(images) != expected:
            raise UserError(f"{self.folder} holds {len(images)} images: {name} has {expected}")
        height, width = images[0].pixels.shape[:2]
        yield shards.Example(name, name, [image.encoded for image in images], height, width)


class Vid4(ClipBuilder):
    """Vid4 (Liu and Sun, 2014): four examples, each a whole clip, in the split test. For evaluation only.

    Args:
      source: holds the folders calendar, city, foliage and walk, with PNG frames.
      kwargs: `data_dir`, `workers` and `max_skipped`: see `ClipBuilder`.
    """

    def __init__(self, *, source: str | Path, **kwargs):
        self._source = Path(source).resolve()
        super().__init__(**kwargs)

    def _plan(self) -> Mapping[str, Sequence[shards.Unit]]:
        folders = [self._source / name for name in CLIPS]
        if missing := [folder for folder in folders if not folder.is_dir()]:
            raise UserError(f"{missing[0]}: no such folder; Vid4 has {', '.join(CLIPS)}")
        return {"test": [Vid4Unit(folder) for folder in folders]}
