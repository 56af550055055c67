"""`vimeo90k_septuplet`: the official archive, and the fast, medium and slow test lists."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from data_pipelines import frames, shards
from data_pipelines.builder import ClipBuilder
from yogo_jax.errors import UserError

SIZE = (256, 448)
"""Height and width of every frame."""

_UNIT_SEPTUPLETS = 256  # about 230 MB, one shard


@dataclass(frozen=True)
class SeptupletUnit:
    """Septuplets by their names in the lists, e.g. "00001/0001"."""

    sequences: Path
    names: tuple[str, ...]

    def examples(self) -> Iterator[shards.Example | shards.Skipped]:
        for name in self.names:
            yield self._septuplet(name)

    def _septuplet(self, name: str) -> shards.Example | shards.Skipped:
        encoded = []
        for number in range(1, 8):
            path = self.sequences / name / f"im{number}.png"
            frame = frames.read_image(path)
            if isinstance(frame, shards.Skipped):
                return frame
            if frame.pixels.shape[:2] != SIZE:
                height, width = frame.pixels.shape[:2]
                return shards.Skipped(str(path), f"{width}x{height}, and a septuplet has {SIZE[1]}x{SIZE[0]}")
            encoded.append(frame.encoded)
        return shards.Example(name, name.split("/")[0], encoded, *SIZE)


class Vimeo90kSeptuplet(ClipBuilder):
    """Vimeo90K (Xue et al., 2019): septuplets of 448x256 frames, for training and for the paper's tables.

    Splits: train and test; with the three lists of Zooming Slow-Mo, test becomes fast, medium, slow, and unlisted
    (the official test septuplets that stand in none of the three).

    Args:
      source: the unpacked archive, with sequences/, sep_trainlist.txt and sep_testlist.txt.
      fast, medium, slow: the list files: all three, or none.
      kwargs: `data_dir`, `workers` and `max_skipped`: see `ClipBuilder`.
    """

    def __init__(
        self,
        *,
        source: str | Path,
        fast: str | Path | None = None,
        medium: str | Path | None = None,
        slow: str | Path | None = None,
        **kwargs,
    ):
        self._source = Path(source).resolve()
        self._motions = {"fast": fast, "medium": medium, "slow": slow}
        super().__init__(**kwargs)

    def _plan(self) -> Mapping[str, Sequence[shards.Unit]]:
        sequences = self._source / "sequences"
        if not sequences.is_dir():
            raise UserError(f"{sequences}: no such folder; --source takes the unpacked Vimeo90K septuplet archive")
        names = {"train": read_list(self._source / "sep_trainlist.txt")}
        test = read_list(self._source / "sep_testlist.txt")
        lists = {motion: Path(path) for motion, path in self._motions.items() if path is not None}
        if not lists:
            names["test"] = test
        elif lacking := [motion for motion in self._motions if motion not in lists]:
            raise UserError(f"the {lacking[0]} list is missing: give the fast, medium and slow lists, or none")
        else:
            unlisted = dict.fromkeys(test)
            for motion, path in lists.items():
                names[motion] = read_list(path)
                for name in names[motion]:
                    if name not in unlisted:
                        raise UserError(f"{path}: {name} is not in sep_testlist.txt, or in two of the lists")
                    del unlisted[name]
            names["unlisted"] = list(unlisted)
        return {split: _units(sequences, members) for split, members in names.items() if members}


def read_list(path: Path) -> list[str]:
    """Septuplet names, one a line; empty lines do not count."""
    if not path.is_file():
        raise UserError(f"{path}: no such list of septuplets")
    names = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    for name in names:
        parts = name.split("/")
        if len(parts) != 2 or not all(part.isdecimal() for part in parts):
            raise UserError(f"{path}: {name!r} is not the name of a septuplet, such as 00001/0001")
    if len(set(names)) < len(names):
        raise UserError(f"{path}: a septuplet stands in it twice")
    return names


def _units(sequences: Path, names: Sequence[str]) -> list[SeptupletUnit]:
    iterator = iter(names)
    return [SeptupletUnit(sequences, chunk) for chunk in iter(lambda: tuple(islice(iterator, _UNIT_SEPTUPLETS)), ())]
