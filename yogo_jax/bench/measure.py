"""Fair comparisons: the same input, the same threads, turn by turn in one process, medians, and peak memory."""

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import psutil

Work = Callable[[], object]


@dataclass(frozen=True)
class Result:
    """Of one contender: what it took to get ready (compile), the median of its runs, both in seconds, and its
    peak memory beyond what the process held before its first run, in bytes (None where the system does not say)."""

    name: str
    prepare: float
    median: float
    peak: int | None


def compare(contenders: dict[str, Callable[[], Work]], rounds: int) -> list[Result]:
    """Prepare each contender, run it once for its peak of memory, then time all of them in turns.

    Args:
      contenders: name → a function that gets one ready (compiles) and returns its work, which blocks until done.
      rounds: timed runs of each; every contender runs once in each round.
    """
    prepared: dict[str, tuple[Work, float, int | None]] = {}
    for name, prepare in contenders.items():
        start = time.perf_counter()
        work = prepare()
        ready = time.perf_counter() - start
        prepared[name] = work, ready, _peak(work)
    times: dict[str, list[float]] = {name: [] for name in prepared}
    for _ in range(rounds):
        for name, (work, _, _) in prepared.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return [Result(name, ready, statistics.median(times[name]), peak) for name, (_, ready, peak) in prepared.items()]


def table(results: list[Result]) -> str:
    """A line for each contender; ratios are the first one's time and memory over the other's."""
    first = results[0]
    lines = [f"{'':34} {'prepare':>9} {'run':>10} {'peak':>10} {'time ratio':>11} {'memory ratio':>13}"]
    for result in results:
        peak = "n/a" if result.peak is None else f"{result.peak / 1e6:.0f} MB"
        time_ratio = f"{first.median / result.median:.2f}" if result is not first else ""
        memory_ratio = f"{first.peak / result.peak:.2f}" if result is not first and first.peak and result.peak else ""
        lines.append(
            f"{result.name:34} {result.prepare:7.1f} s {result.median * 1e3:7.0f} ms {peak:>10}"
            f" {time_ratio:>11} {memory_ratio:>13}"
        )
    return "\n".join(lines)


def use_threads(count: int) -> None:
    """Keep this process, and JAX's threads with it, to so many cores, and compile anew. Call before JAX starts."""
    jax.config.update("jax_enable_compilation_cache", False)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _peak(work: Work) -> int | None:
    """Growth of the resident memory while the work runs for the first time, by the kernel's own high-water mark."""
    gc.collect()
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
