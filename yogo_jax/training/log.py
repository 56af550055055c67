"""What a run says: lines on the console, records in WORKDIR/log.jsonl, and TensorBoard where it is installed.

A record is one JSON object a line: `kind` ("train" or "eval"), `step`, `time` (Unix seconds) and the values,
null where one is not finite. A resumed run first drops the records past its checkpoint, so that the file always
holds one unbroken curve.
"""

import importlib.util
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from yogo_jax.errors import UserError
from yogo_jax.files import written_aside

Values = Mapping[str, float]


class Log:
    """The log of one run, written by its primary process; others make one with `workdir` None, which is silent.

    Args:
      workdir: the run's directory.
      step: that the run starts or goes on from.
      steps: of the whole run, for the ETA.
      batch_size: examples a step.

    Raises UserError from every method that finds the directory full or unwritable.
    """

    def __init__(self, workdir: Path | None, step: int, steps: int, batch_size: int) -> None:
        self._workdir, self._steps, self._batch_size = workdir, steps, batch_size
        self._tensorboard = None
        self._since_step, self._since_time = step, time.monotonic()
        if workdir is None:
            return
        with _errors(workdir):
            self._file = _open_records(workdir / "log.jsonl", step)
            if importlib.util.find_spec("tensorboard"):
                from yogo_jax.training.tensorboard import TensorBoardWriter

                self._tensorboard = TensorBoardWriter(workdir / "tensorboard", step)

    def say(self, line: str) -> None:
        """A line on the console."""
        if self._workdir is not None:
            print(line, flush=True)

    def train(self, step: int, values: Values) -> None:
        """The means over the steps since the last record, with the rate at which they went."""
        now = time.monotonic()
        rate = (step - self._since_step) / max(now - self._since_time, 1e-9)
        self._since_step, self._since_time = step, now
        examples = rate * self._batch_size
        terms = "  ".join(f"{name} {_figure(value)}" for name, value in values.items() if _on_console(name))
        eta = _duration((self._steps - step) / rate) if rate else "?"
        self.say(
            f"step {step}/{self._steps} ({100 * step / self._steps:.1f} %)  {terms}  "
            f"{examples:.3g} examples/s  {1 / rate if rate else math.inf:.3g} s/step  ETA {eta}"
        )
        self._write("train", step, {**values, "examples_per_second": examples})

    def evaluation(self, step: int, values: Values) -> None:
        """Scores of the held-out split."""
        self.say(f"step {step}: held out: " + "  ".join(f"{name} {_figure(v)}" for name, v in values.items()))
        self._write("eval", step, values)

    def picture(self, step: int, image: np.ndarray) -> None:
        """A strip of samples [H, W, 3] uint8: WORKDIR/samples/STEP.png."""
        if self._workdir is None:
            return
        path = self._workdir / "samples" / f"{step:07d}.png"
        with written_aside(path) as aside:
            Image.fromarray(image).save(aside)
        if self._tensorboard is not None:
            with _errors(self._workdir):
                self._tensorboard.picture(step, "samples", path.read_bytes(), image.shape)

    def pause(self, step: int) -> None:
        """Leave what happened up to `step` (a compilation, an evaluation) out of the next record's rate."""
        self._since_step, self._since_time = step, time.monotonic()

    def close(self) -> None:
        """Write out everything."""
        if self._workdir is None:
            return
        with _errors(self._workdir):
            self._file.close()
            if self._tensorboard is not None:
                self._tensorboard.close()

    def _write(self, kind: str, step: int, values: Values) -> None:
        if self._workdir is None:
            return
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        record = {"kind": kind, "step": step, "time": round(time.time(), 3), **finite}
        with _errors(self._workdir):
            line = (json.dumps(record) + "\n").encode()
            if self._file.write(line) < len(line):
                raise OSError("no space left on the disk")
            if self._tensorboard is not None:
                self._tensorboard.scalars(step, {f"{kind}/{name}": value for name, value in values.items()})


def read_records(path: Path) -> list[dict]:
    """The records of a log; a last line that a crash cut short is left out."""
    records = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def _open_records(path: Path, step: int):
    kept = [json.dumps(record) + "\n" for record in read_records(path) if record["step"] <= step]
    with written_aside(path) as aside:
        aside.write_text("".join(kept))
    return path.open("ab", buffering=0)  # a buffer would fail once more when the file is closed


@contextmanager
def _errors(workdir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{workdir}: cannot write the log: {error.strerror or error}") from error


def _on_console(name: str) -> bool:
    return name.startswith(("loss", "learning_rate", "gradient_norm")) or name == "skipped"


def _figure(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
