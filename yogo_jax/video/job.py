"""The hidden folder beside the output that holds a run's finished work, and the move into place at the end."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from yogo_jax.errors import UserError


def fingerprint(path: Path) -> str:
    """Changes when the file, or the folder's list of files, does: names, sizes and times of change."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    state = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((str(path.resolve()), state)).encode()).hexdigest()


class Job:
    """A run that writes `output`.

    Args:
      output: file or folder that is to be.
      conditions: what the result depends on, by the name to tell the user; finished work is kept only when
        every one is as it was.
      overwrite: an output that exists is replaced at the end.

    `folder` is where to work; `afresh` says why earlier work was not used, or is None.

    Raises UserError when the output exists, cannot be written, or another run writes it.
    """

    def __init__(self, output: Path, conditions: Mapping[str, str], overwrite: bool) -> None:
        self.output = output
        self.folder = output.parent / f".{output.name}.yogo"
        self.afresh: str | None = None
        if output.exists() and not overwrite:
            raise UserError(f"{output} exists: --overwrite replaces it")
        if output.is_dir():
            _check_replaceable(output)
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(exist_ok=True)
            self._lock = open(self.folder / "lock", "w")  # noqa: SIM115 (held until the run ends)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{output} is being written by another run") from None
        except OSError as error:
            raise UserError(f"{output} cannot be written: {error.strerror}") from None
        self._take_up(dict(conditions))

    def _take_up(self, conditions: dict[str, str]) -> None:
        record = self.folder / "conditions.json"
        try:
            before = json.loads(record.read_text())
        except (OSError, ValueError):
            before = None
        if before == conditions:
            return
        if before is not None:
            changed = [name for name in {**before, **conditions} if before.get(name) != conditions.get(name)]
            self.afresh = f"{' and '.join(changed)} changed since the run that was broken off: starting afresh"
        for entry in self.folder.iterdir():
            if entry.name != "lock":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        _write(record, conditions)

    def tile(self, fitting: tuple[int, int]) -> tuple[int, int]:
        """The tile that an earlier run of this job worked with; `fitting`, noted now, when there was none.

        What memory there is changes from run to run; the frames must not.
        """
        note = self.folder / "tile.json"
        if note.exists():
            height, width = json.loads(note.read_text())
            return height, width
        _write(note, fitting)
        return fitting

    def place(self, finished: Path) -> None:
        """Move `finished`, which is in `folder`, to where the output belongs, and clear up."""
        if self.output.is_dir():
            os.rename(self.output, self.folder / "replaced")
        os.replace(finished, self.output)
        directory = os.open(self.output.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        self.leave(keep=False)

    def leave(self, *, keep: bool) -> None:
        """Let other runs at the folder; `keep` the work in it, or remove it."""
        self._lock.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def _write(path: Path, content: object) -> None:
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(content))
    os.replace(aside, path)


def _check_replaceable(folder: Path) -> None:
    strange = [path.name for path in folder.iterdir() if path.suffix != ".png" or not path.stem.isdigit()]
    if strange:
        raise UserError(f"{folder} holds more than numbered PNG files ({strange[0]}): it is not replaced")
