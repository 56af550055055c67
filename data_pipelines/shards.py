"""Write examples into array_record shards: on all cores, and going on after an interruption.

The work is a plan of units. A worker streams one unit into one or more shards and then writes the unit's record
(JSON, moved into place): a unit either has a record and whole shards, or is done again.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from array_record.python.array_record_module import ArrayRecordWriter
from tqdm import tqdm

from yogo_jax.errors import UserError

SHARD_BYTES = 256 * 2**20
"""A shard is closed once it is as large as this."""


@dataclass(frozen=True)
class Example:
    """Consecutive frames of one shot.

    Attributes:
      id: unique within the data set, e.g. "davis/goat/00014".
      clip: what a split never divides and weights are given to, e.g. "davis/goat".
      frames: encoded images (PNG or JPEG), in order, all of one size.
      height, width: of the frames, in pixels.
    """

    id: str
    clip: str
    frames: Sequence[bytes]
    height: int
    width: int


@dataclass(frozen=True)
class Skipped:
    """Something in the source that cannot be used: where it is, and why."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


class Unit(Protocol):
    """A piece of work that one process does. Its `repr` names its source and all options."""

    def examples(self) -> Iterator[Example | Skipped]:
        """The unit's examples, streamed, the same ones in the same order every time."""
        ...


@dataclass(frozen=True)
class Shard:
    """One array_record file."""

    file: str
    examples: int
    bytes: int


@dataclass(frozen=True)
class ClipRun:
    """Consecutive examples of one clip and one size."""

    clip: str
    examples: int
    height: int
    width: int


@dataclass(frozen=True)
class Record:
    """What a finished unit left behind."""

    shards: list[Shard]
    runs: list[ClipRun]
    skipped: list[Skipped]


def write(
    plan: Mapping[str, Sequence[Unit]],
    directory: Path,
    serialise: Callable[[Example], bytes],
    *,
    workers: int,
    max_skipped: int,
) -> dict[str, list[Record]]:
    """Write every unit that has no record yet, with a progress bar; gives the records by split, in plan order.

    Args:
      plan: the units of each split. Units and `serialise` are pickled when `workers` > 1.
      directory: where shards and records go; kept when this raises, so that the next call goes on from it.
      workers: processes. 1 works in this one.
      max_skipped: how many unusable frames or clips are tolerated in the whole data set.

    Raises:
      UserError: more than `max_skipped` were skipped, or a unit cannot be read at all.
    """
    directory.mkdir(parents=True, exist_ok=True)
    units = [(split, unit) for split, members in plan.items() for unit in members]
    paths = [directory / f"{index:06d}" for index in range(len(units))]
    records: dict[int, Record] = {}
    skipped: list[Skipped] = []

    def collect(index: int, record: Record) -> None:
        records[index] = record
        skipped.extend(record.skipped)
        for one in record.skipped:
            tqdm.write(f"skipped {one}")
        if len(skipped) > max_skipped:
            raise _too_many(skipped, max_skipped)

    todo = []
    for index, path in enumerate(paths):
        record = _read_record(path)
        if record and not record.skipped:  # what was skipped may have been repaired
            collect(index, record)
        else:
            todo.append(index)
    with tqdm(total=len(units), initial=len(records), unit="unit", disable=None) as progress:
        jobs = ((index, (units[index][1], paths[index], serialise, max_skipped)) for index in todo)
        for index, record in _run(jobs, workers):
            collect(index, record)
            progress.update()
            examples = sum(run.examples for record in records.values() for run in record.runs)
            progress.set_postfix(examples=examples, skipped=len(skipped))
    return {split: [records[i] for i, (s, _) in enumerate(units) if s == split] for split in plan}


def _run(jobs: Iterator[tuple[int, tuple]], workers: int) -> Iterator[tuple[int, Record]]:
    """Yield (index, record) as units finish; few are in flight, so that an error stops the rest soon."""
    if workers == 1:
        for index, arguments in jobs:
            yield index, _write_unit(*arguments)
        return
    spawn = multiprocessing.get_context("spawn")  # not fork: JAX and TFDS have threads
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_end_with_parent) as pool:
        running: dict[Future[Record], int] = {}
        try:
            for index, arguments in jobs:
                running[pool.submit(_write_unit, *arguments)] = index
                if len(running) > workers:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    yield from ((running.pop(future), future.result()) for future in done)
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                yield from ((running.pop(future), future.result()) for future in done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """Without this, the workers of a build that is killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_unit(unit: Unit, path: Path, serialise: Callable[[Example], bytes], max_skipped: int) -> Record:
    shards: list[Shard] = []
    runs: list[ClipRun] = []
    skipped: list[Skipped] = []
    with contextlib.ExitStack() as stack:
        aside = path.with_name(f"{path.name}.{os.getpid()}.part")  # another build may be at the same unit
        writer = None
        examples = size = 0

        def close() -> None:
            nonlocal writer, examples, size
            if writer is not None:
                writer.close()
                file = path.with_name(f"{path.name}-{len(shards):04d}.array_record")
                aside.replace(file)
                shards.append(Shard(file.name, examples, file.stat().st_size))
            writer, examples, size = None, 0, 0

        stack.callback(lambda: writer and writer.close())
        for item in unit.examples():
            if isinstance(item, Skipped):
                skipped.append(item)
                if len(skipped) > max_skipped:
                    raise _too_many(skipped, max_skipped)
                continue
            if writer is None:
                writer = ArrayRecordWriter(os.fspath(aside), "group_size:1")
            record = serialise(item)
            writer.write(record)
            examples, size = examples + 1, size + len(record)
            run = ClipRun(item.clip, 1, item.height, item.width)
            if runs and dataclasses.replace(runs[-1], examples=1) == run:
                run = dataclasses.replace(run, examples=runs.pop().examples + 1)
            runs.append(run)
            if size >= SHARD_BYTES:
                close()
        close()
    record = Record(shards, runs, skipped)
    _write_record(path, record)
    return record


def _too_many(skipped: list[Skipped], limit: int) -> UserError:
    named = "; ".join(map(str, skipped[:3]))
    return UserError(
        f"{len(skipped)} unusable frames or clips, and the limit is {limit}: {named}"
        f"{'; …' if len(skipped) > 3 else ''}. Repair the source or raise --max-skipped"
    )


def _write_record(path: Path, record: Record) -> None:
    aside = path.with_name(f"{path.name}.json.{os.getpid()}.part")
    aside.write_text(json.dumps(dataclasses.asdict(record)))
    aside.replace(path.with_suffix(".json"))


def _read_record(path: Path) -> Record | None:
    """The record of a unit whose shards are all there, or None."""
    try:
        values = json.loads(path.with_suffix(".json").read_text())
    except FileNotFoundError:
        return None
    record = Record(
        [Shard(**shard) for shard in values["shards"]],
        [ClipRun(**run) for run in values["runs"]],
        [Skipped(**one) for one in values["skipped"]],
    )
    for shard in record.shards:
        file = path.with_name(shard.file)
        if not file.is_file() or file.stat().st_size != shard.bytes:
            return None
    return record
