"""Run a model over clips and score every frame, sharded over all devices of all processes.

Windows of one size go through in batches of `per_device` for each device. A last, smaller batch is padded, and
what the padding yields is thrown away. Each device works alone on its own windows, so no score depends on how
many there are, but for the rounding of convolutions (`compiler_options`).
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import PartitionSpec

from yogo_jax.devices import compiler_options
from yogo_jax.errors import UserError
from yogo_jax.evaluation.clips import Clip
from yogo_jax.evaluation.metrics import frame_scores
from yogo_jax.evaluation.models import Model
from yogo_jax.evaluation.protocol import KNOWN, End, Window, windows
from yogo_jax.imaging import low_resolution, to_float
from yogo_jax.tracing import uncollected
from yogo_jax.training.sharding import AXES, batch_sharding, make_mesh, replicated

METRICS = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb")

AHEAD = 2  # batches decoded while the devices work


@dataclass
class ClipScores:
    """Scores of a clip, frame by frame.

    Attributes:
        name: the clip's name.
        known: for each frame, whether its low-resolution form was an input.
        scores: for each of `METRICS`, a value for each frame.
        seconds: time in the model, without compilation, reading or scoring.
        error: why the clip could not be scored; its scores are void then.
    """

    name: str
    known: list[bool] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in METRICS})
    seconds: float = 0.0
    error: str | None = None

    def add(self, window: Window, scores: dict[str, np.ndarray], seconds: float) -> None:
        """Take the frames of `window` that count. `scores` are [7] each."""
        self.known += KNOWN[window.counts].tolist()
        for name, values in scores.items():
            self.scores[name] += [float(value) for value in values[window.counts]]
        self.seconds += seconds


class Runner:
    """A model compiled for each size it meets, on a mesh of devices.

    `compile_seconds` sums up the time that compilation took; it is in no other figure.
    """

    def __init__(self, model: Model, devices: Sequence[Any] | None = None):
        self.mesh = make_mesh(devices=devices)
        self.compile_seconds = 0.0
        self._name = model.name
        self._rate = model.rate
        self._parameters = jax.device_put(model.parameters, replicated(self.mesh))
        self._prepare = self._each_device(lambda high: to_float(low_resolution(high)))
        self._score = self._each_device(frame_scores)
        self._apply = self._each_device(model.apply, PartitionSpec())
        self._compiled: dict[tuple[int, ...], Any] = {}

    def _each_device(self, function: Callable, *leading: PartitionSpec) -> Any:
        """jit `function` so that each device maps its own rows; arguments specified in `leading` it sees whole."""

        @uncollected()
        def mapped(*arguments: Any) -> Any:
            specs = *leading, *(PartitionSpec(AXES),) * (len(arguments) - len(leading))
            return jax.shard_map(
                function, mesh=self.mesh, in_specs=specs, out_specs=PartitionSpec(AXES), check_vma=False
            )(*arguments)

        return jax.jit(mapped, compiler_options=compiler_options(self.mesh.devices.flat))

    def __call__(self, frames: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
        """Scores [B, 7] of windows [B, 7, H, W, 3], uint8, and the seconds in the model.

        The number of devices divides B. Every process gives, and gets, all of the batch.

        Raises:
            UserError: the model makes another number of frames than are to be scored.
        """
        sharding = batch_sharding(self.mesh)
        high = jax.make_array_from_callback(frames.shape, sharding, lambda index: frames[index])
        low = self._prepare(high[:, :: self._rate]).block_until_ready()
        if low.shape not in self._compiled:
            made = jax.eval_shape(self._apply, self._parameters, low)
            if made.shape != high.shape:
                raise UserError(f"{self._name} makes {made.shape[1]} frames of a window; {high.shape[1]} are scored")
            start = time.perf_counter()
            self._compiled[low.shape] = self._apply.lower(self._parameters, low).compile()
            self.compile_seconds += time.perf_counter() - start
        start = time.perf_counter()
        made = self._compiled[low.shape](self._parameters, low).block_until_ready()
        seconds = time.perf_counter() - start
        scores = multihost_utils.process_allgather(self._score(made, high), tiled=True)
        return jax.tree.map(np.asarray, scores), seconds


def evaluate(runner: Runner, clips: Iterable[Clip], per_device: int = 1) -> Iterator[ClipScores]:
    """Score clips one after the other; each is yielded when its last window is through.

    A clip that cannot be read is yielded with its `error`, and the others are scored.
    """
    size = per_device * runner.mesh.size
    clip_scores: ClipScores | None = None
    for batch in _ahead(_batches((event for clip in clips for event in windows(clip)), size)):
        frames = [event.frames for event in batch if isinstance(event, Window)]
        scores, seconds, row = {}, 0.0, 0
        if frames:
            scores, seconds = runner(np.stack(frames + frames[:1] * (size - len(frames))))
        for event in batch:
            clip_scores = clip_scores or ClipScores(event.clip)
            if isinstance(event, End):
                clip_scores.error = event.error
                yield clip_scores
                clip_scores = None
            else:
                clip_scores.add(event, {k: v[row] for k, v in scores.items()}, seconds / len(frames))
                row += 1


def _batches(events: Iterable[Window | End], size: int) -> Iterator[list[Window | End]]:
    """Up to `size` windows of one shape in a row, with the ends of clips between and after them."""
    batch: list[Window | End] = []
    shape, count = None, 0
    for event in events:
        if isinstance(event, Window):
            if count == size or (count and event.frames.shape != shape):
                yield batch
                batch, count = [], 0
            shape, count = event.frames.shape, count + 1
        batch.append(event)
    if batch:
        yield batch


def _ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same items, `AHEAD` of them taken early by a thread."""
    with ThreadPoolExecutor(1) as reader:  # one thread: the items stay in order
        pending = deque(reader.submit(next, items, None) for _ in range(AHEAD))
        while (item := pending.popleft().result()) is not None:
            pending.append(reader.submit(next, items, None))
            yield item
