"""Fair comparisons: the same input, parameters and threads, turn by turn in one process, medians, and peak memory."""

import argparse
import contextlib
import ctypes
import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import psutil

from yogo_jax.cli.arguments import at_least
from yogo_jax.devices import cores
from yogo_jax.errors import UserError

Work = Callable[[], object]


@dataclass(frozen=True)
class Result:
    """Of one contender: what it took to get ready (compile), the median of its runs, the median of the processor
    time of a run over all threads, all in seconds, and its peak memory beyond what the process held before its first
    run, in bytes (None where the system does not say)."""

    name: str
    prepare: float
    median: float
    cpu: float
    peak: int | None


def compare(contenders: dict[str, Callable[[], Work]], rounds: int, *, warm: bool = True) -> list[Result]:
    """Prepare each contender, run it once for its peak of memory, then time all of them in turns.

    Args:
      contenders: name → a function that gets one ready (compiles) and returns its work, which blocks until done.
      rounds: timed runs of each; every contender has its turn in each round.
      warm: begin each turn with a run that is not timed, so that what is timed follows its own kind, as the steps of a
        training do. Memory that was given back in the meantime, which a system may take seconds to hand out anew, is
        not counted then.
    """
    prepared: dict[str, tuple[Work, float, int | None]] = {}
    for name, prepare in contenders.items():
        start = time.perf_counter()
        work = prepare()
        ready = time.perf_counter() - start
        prepared[name] = work, ready, _peak(work)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in prepared}
    for _ in range(rounds):
        for name, (work, _, _) in prepared.items():
            if warm:
                work()
            start, busy = time.perf_counter(), time.process_time()
            work()
            times[name].append((time.perf_counter() - start, time.process_time() - busy))
    results = []
    for name, (_, ready, peak) in prepared.items():
        clock, processor = (statistics.median(column) for column in zip(*times[name], strict=True))
        results.append(Result(name, ready, clock, processor, peak))
    return results


def random_params(model: nn.Module, frames: Any) -> Any:
    """Small random parameters, none of them zero, without compiling the network's own initialisation for them.

    The mean offset of YOGO's deformable convolutions is 0.1 to 3 pixels with them.
    """
    shapes = jax.eval_shape(model.init, jax.random.key(0), frames)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(0.05 * rng.standard_normal(leaf.shape), leaf.dtype), shapes)


def table(results: list[Result]) -> str:
    """A line for each contender; ratios are the first one's time, processor time and memory over the other's.

    On a machine that others use as well, one thread's processor time says more than the clock on the wall.
    """
    first = results[0]
    head = f"{'':34} {'prepare':>9} {'run':>10} {'processor':>12} {'peak':>10}"
    lines = [f"{head} {'time ratio':>11} {'cpu ratio':>10} {'memory ratio':>13}"]
    for result in results:
        peak = "n/a" if result.peak is None else f"{result.peak / 1e6:.0f} MB"
        time_ratio = f"{first.median / result.median:.2f}" if result is not first else ""
        memory_ratio = f"{first.peak / result.peak:.2f}" if result is not first and first.peak and result.peak else ""
        cpu_ratio = f"{first.cpu / result.cpu:.2f}" if result is not first and result.cpu else ""
        lines.append(
            f"{result.name:34} {result.prepare:7.1f} s {result.median * 1e3:7.0f} ms {result.cpu * 1e3:9.0f} ms"
            f" {peak:>10} {time_ratio:>11} {cpu_ratio:>10} {memory_ratio:>13}"
        )
    return "\n".join(lines)


def add_threads(parser: argparse.ArgumentParser, default: int) -> None:
    """The argument `--threads`, for `use_threads`."""
    default = min(default, cores())
    parser.add_argument(
        "--threads", type=at_least(1), default=default, help=f"cores to use (default {default}, of {cores()})"
    )


def use_threads(count: int) -> None:
    """Keep this process, and JAX's threads with it, to so many cores, and compile anew. Call before JAX starts.

    Raises:
      UserError: there are fewer, or the system does not let a process choose.
    """
    if count > cores():
        raise UserError(f"--threads {count}: there are {cores()} cores to use")
    jax.config.update("jax_enable_compilation_cache", False)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    elif count < cores():
        raise UserError(f"--threads {count}: this system lets a process use all of its cores only, {cores()}")


def _peak(work: Work) -> int | None:
    """Growth of the resident memory while the work runs for the first time, by the kernel's own high-water mark.

    What glibc kept of an earlier contender's memory goes back to the system first, or it would hide some of the growth.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another libc, or system
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
        measured = jax.default_backend() == "cpu"
    except OSError:  # not Linux, or not allowed
        measured = False
    before = psutil.Process().memory_info().rss
    work()
    if not measured:
        return None
    status = Path("/proc/self/status").read_text().splitlines()
    marks = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")]
    return max(marks[0] - before, 0) if marks else None
