"""The hidden folder beside the output that holds a run's finished work, and the move into place at the end."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import jax
from av.error import FFmpegError

from yogo_jax.errors import UserError
from yogo_jax.video.folder import image_files


def fingerprint(path: Path) -> str:
    """Changes when the file, or the images of the folder, do: names, sizes and times of change."""
    files = image_files(path) if path.is_dir() else [path]
    state = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((str(path.resolve()), state)).encode()).hexdigest()


class Job:
    """A run that writes `output`.

    Args:
      output: file, or `folder`, that is to be.
      conditions: what the result depends on, by the name to tell the user; finished work is kept only when
        every one is as it was.
      overwrite: an output that exists is replaced at the end.

    `work` is the folder to work in; `afresh` says why earlier work was not used, or is None.

    Raises UserError when the output exists, cannot be written, or another run writes it.
    """

    def __init__(self, output: Path, conditions: Mapping[str, str], overwrite: bool, *, folder: bool) -> None:
        self.output = output
        self.work = output.parent / f".{output.name}.yogo"
        self.afresh: str | None = None
        try:
            if output.exists():
                _check_replaceable(output, overwrite, folder)
            output.parent.mkdir(parents=True, exist_ok=True)
            self.work.mkdir(exist_ok=True)
            self._lock = open(self.work / "lock", "w")  # noqa: SIM115 (held until the run ends)
        except OSError as error:
            raise in_words(error, output) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._take_up(dict(conditions))
        except BlockingIOError:
            self._lock.close()
            raise UserError(f"{output} is being written by another run") from None
        except OSError as error:
            self.leave()
            raise in_words(error, output) from None

    def _take_up(self, conditions: dict[str, str]) -> None:
        record = self.work / "conditions.json"
        before = _noted(record)
        if before == conditions:
            for unfinished in self.work.glob("finished.*"):  # of a run that was killed: as large as the output
                unfinished.unlink()
            return
        if isinstance(before, dict):
            changed = [name for name in {**before, **conditions} if before.get(name) != conditions.get(name)]
            self.afresh = f"{' and '.join(changed)} changed since the run that was broken off: starting afresh"
        for entry in self.work.iterdir():
            if entry.name != "lock":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        _note(record, conditions)

    def tile(self, fitting: tuple[int, int]) -> tuple[int, int]:
        """The tile that an earlier run of this job worked with; `fitting`, noted now, when there was none.

        What memory there is changes from run to run; the frames must not.
        """
        note = self.work / "tile.json"
        match _noted(note):
            case [int(height), int(width)]:
                return height, width
        _note(note, fitting)
        return fitting

    def place(self, finished: Path) -> None:
        """Move `finished`, which is in `work`, to where the output belongs, and clear up."""
        if self.output.is_dir():
            os.rename(self.output, self.work / "replaced")
        os.replace(finished, self.output)
        _sync(self.output.parent)
        self._clear_up()

    def leave(self) -> None:
        """Let other runs at the folder, and remove it unless there is finished work in it."""
        if any(self.work.glob("*/*")):
            self._lock.close()
        else:
            self._clear_up()

    def _clear_up(self) -> None:
        # While the lock is held: afterwards the folder may be another run's.
        shutil.rmtree(self.work, ignore_errors=True)
        self._lock.close()


def in_words(error: BaseException, output: Path) -> BaseException:
    """An error of the system or of FFmpeg while writing, or of too little memory, in words; others as they are."""
    exhausted = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    if exhausted or isinstance(error, MemoryError):
        return UserError(f"there is not enough memory for {output}: use a smaller --memory or --tile")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return UserError(f"no space left for {output}: free some and give the same command again to go on")
    if isinstance(error, (OSError, FFmpegError)):
        return UserError(f"{output} cannot be written: {error.strerror or error}")
    return error


def _noted(path: Path) -> object:
    """What `_note` wrote; None when that is not there, or broken."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _note(path: Path, content: object) -> None:
    aside = path.with_suffix(".part")
    with open(aside, "w") as file:
        file.write(json.dumps(content))
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def _check_replaceable(output: Path, overwrite: bool, folder: bool) -> None:
    if not overwrite:
        raise UserError(f"{output} exists: --overwrite replaces it")
    if folder != output.is_dir() or not (folder or output.is_file()):
        wanted = "a folder of PNG" if folder else "a file"
        raise UserError(f"{output} exists and is not {wanted}, as the output would be: it is not replaced")
    for path in output.iterdir() if folder else ():
        if path.suffix != ".png" or not path.stem.isdigit():
            raise UserError(f"{output} holds more than numbered PNG files ({path.name}): it is not replaced")
