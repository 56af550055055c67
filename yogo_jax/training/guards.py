"""What keeps a run from wasting its machine: checks before it compiles, and a way out when it must stop."""

import itertools
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import jax
import numpy as np
from jax.experimental import multihost_utils

from yogo_jax.configuration import Config
from yogo_jax.errors import UserError
from yogo_jax.imaging import SCALE


def check_config(config: Config, devices: int, processes: int = 1) -> None:
    """Whether a run on so many devices can work at all; nothing is read or compiled.

    Raises:
      UserError: the first field that cannot be.
    """
    data, optim, train = config.data, config.optim, config.train
    for name, value in (
        ("train.steps", train.steps),
        ("train.log_every", train.log_every),
        ("train.checkpoint_every", train.checkpoint_every),
        ("train.keep_latest", train.keep_latest),
        ("train.max_skipped", train.max_skipped),
        ("train.fsdp", train.fsdp),
        ("optim.accumulate", optim.accumulate),
        ("data.batch", data.batch),
    ):
        _demand(value >= 1, f"{name}={value}: it takes 1 or more")
    for name, value in (
        ("train.eval_every", train.eval_every),
        ("train.eval_examples", train.eval_examples),
        ("optim.clip_norm", optim.clip_norm),
        ("optim.warmup_steps", optim.warmup_steps),
        ("optim.factor", optim.factor),
        ("optim.final_fraction", optim.final_fraction),
        ("train.seed", train.seed),
        ("train.fsdp_min_size", train.fsdp_min_size),
    ):
        _demand(value >= 0, f"{name}={value}: it takes 0 or more")
    for name, value in (
        ("optim.learning_rate", optim.learning_rate),
        ("optim.charbonnier_width", optim.charbonnier_width),
        ("train.offset_warning", train.offset_warning),
    ):
        _demand(value > 0, f"{name}={value}: it takes more than 0")
    for name, value in (("optim.b1", optim.b1), ("optim.b2", optim.b2), ("optim.ema_decay", optim.ema_decay)):
        _demand(0 <= value < 1, f"{name}={value}: it takes 0 to less than 1")
    _demand(train.seed < 2**31, f"train.seed={train.seed}: it takes less than 2^31")
    _demand(
        optim.warmup_steps < train.steps,
        f"optim.warmup_steps={optim.warmup_steps}: the run has {train.steps} steps; it takes fewer",
    )
    steps = (optim.warmup_steps, *optim.boundaries)
    if optim.schedule == "piecewise":
        _demand(
            all(earlier < later for earlier, later in itertools.pairwise(steps)),
            f"optim.boundaries={optim.boundaries}: they ascend, from optim.warmup_steps={optim.warmup_steps} on",
        )
    for name, patch in (("data.patch", data.patch), ("data.eval_patch", data.eval_patch)):
        _demand(
            len(patch) == 2 and all(side >= SCALE and side % SCALE == 0 for side in patch),
            f"{name}={patch}: height and width, in low-resolution pixels, are multiples of {SCALE}",
        )
    _demand(devices % train.fsdp == 0, f"train.fsdp={train.fsdp}: it does not divide {devices} devices")
    share = devices * optim.accumulate
    _demand(
        data.batch % share == 0,
        f"data.batch={data.batch}: {devices} devices times optim.accumulate={optim.accumulate} "
        f"do not divide it; {-(-data.batch // share) * share} would do",
    )
    _demand(devices % processes == 0, f"{devices} devices do not divide into {processes} processes")


def check_batch(batch: Mapping[str, np.ndarray]) -> None:
    """Whether the network can take what the data gives, by the first batch.

    Raises:
      UserError: clips of fewer than three frames, or of an even number.
    """
    known, frames = batch["lr"].shape[1], batch["hr"].shape[1]
    _demand(
        known >= 2 and frames == 2 * known - 1,
        f"the data's clips have {frames} frames: N known ones become 2N-1, with N of 2 or more; it takes 3, 5, 7, …",
    )


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise UserError(message)


@contextmanager
def stop_requests() -> Iterator[Callable[[int], bool]]:
    """Inside, SIGTERM (preemption) and Ctrl-C only ask: gives `asked(step)`, to be called once in every step.

    A second Ctrl-C interrupts at once. With several processes the answer to SIGTERM is the same in all of them at the
    same step, whichever was signalled; Ctrl-C is not settled between them, and interrupts.
    """
    if jax.process_count() > 1:  # JAX's coordination service has SIGTERM and settles the step
        yield multihost_utils.reached_preemption_sync_point
        return
    asked = False

    def ask(signum: int, _) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda step: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def offset_warnings(metrics: Mapping[str, float], limit: float) -> list[str]:
    """A line for each pyramid level whose mean absolute offset is above `limit` pixels."""
    return [
        f"warning: the mean absolute offset of DFU {name.removeprefix('offset_')} is {value:.1f} pixels "
        f"(train.offset_warning={limit:g}): alignment is breaking down; a lower rate or optim.clip_norm helps"
        for name, value in metrics.items()
        if name.startswith("offset_level") and value > limit
    ]
