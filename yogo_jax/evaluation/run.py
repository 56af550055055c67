"""One model over one test set, into one folder: resumed where it was stopped, whatever the number of processes."""

import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from tqdm import tqdm

from yogo_jax.errors import UserError
from yogo_jax.evaluation.clips import TestSet, published_frames
from yogo_jax.evaluation.evaluate import ClipScores, Runner, evaluate
from yogo_jax.evaluation.models import Model
from yogo_jax.evaluation.results import Journal, summarise, write_results
from yogo_jax.training.distributed import is_primary


def score(
    model: Model, test_set: TestSet, folder: Path, per_device: int = 1, devices: Sequence[Any] | None = None
) -> dict[str, Any]:
    """Evaluate and write the results (see `yogo_jax.evaluation.results`). The first process writes.

    Clips that are missing or cannot be read are named on standard error and in the results; the others count.

    Args:
        per_device: windows that a device takes at once.
        devices: all of all processes by default.

    Returns:
        The content of `results.json`, in the first process; the others get {}.

    Raises:
        UserError: the folder holds another run, or no clip at all can be scored.
    """
    if test_set.missing:
        _warn(f"{test_set.source}: missing: {', '.join(test_set.missing)}")
    data = {"name": test_set.name, "source": str(test_set.source.resolve())}
    if test_set.listing:
        data["list"] = str(test_set.listing.resolve())
    identity = {key: value for key, value in model.identity.items() if key != "weights"}  # their hash is in it
    journal = Journal(folder, {"model": identity, "data": data}, writes=is_primary())
    done = np.array([clip.name in journal.clips for clip in test_set.clips])
    done = multihost_utils.broadcast_one_to_all(done)  # the others may not see the folder
    runner = Runner(model, devices)
    failed = {}
    remaining = [clip for clip, is_done in zip(test_set.clips, done, strict=True) if not is_done]
    progress = tqdm(total=len(done), initial=int(np.sum(done)), unit="clip", disable=None if is_primary() else True)
    with progress:
        for clip in evaluate(runner, remaining, per_device):
            progress.update()
            if clip.error:
                failed[clip.name] = clip.error
                _warn(clip.error)
            else:
                journal.add(clip, _cost(runner))
    if len(failed) == len(done):
        raise UserError(f"{test_set.source}: not one of {len(done)} clips can be scored")
    if not is_primary():
        return {}
    clips = [journal.clips[clip.name] for clip in test_set.clips if clip.name in journal.clips]
    for clip in clips:
        expected = published_frames(test_set.name).get(clip.name, len(clip.known))
        if len(clip.known) != expected:
            _warn(f"{clip.name}: {len(clip.known)} frames; the published set has {expected}")
    results = {
        "model": {"name": model.name, **model.identity, "parameters": model.size, "multiply_adds": model.multiply_adds},
        "data": {**data, "missing": list(test_set.missing), "failed": failed},
        **summarise(clips),
        "speed": _speed(clips, journal.costs),
        "memory": max((cost["memory"] for cost in journal.costs), key=lambda memory: memory["peak_bytes"]),
    }
    write_results(folder, clips, results)
    return results


def _warn(message: str) -> None:
    if is_primary():
        tqdm.write(f"yogo: {message}", file=sys.stderr)


def _cost(runner: Runner) -> dict[str, Any]:
    """What this session has cost up to now, and on what it runs."""
    device = f"{runner.mesh.size} × {runner.mesh.devices.flat[0].device_kind}"
    return {"compile_seconds": runner.compile_seconds, "device": device, "memory": _peak_memory()}


def _speed(clips: list[ClipScores], costs: list[dict[str, Any]]) -> dict[str, Any]:
    """Frames of the set, each counted once, for a second in the model; compilation is not in it.

    Of a run in several sessions, whichever devices each of them had.
    """
    frames, seconds = sum(len(clip.known) for clip in clips), sum(clip.seconds for clip in clips)
    return {
        "fps": frames / seconds,
        "frames": frames,
        "seconds": seconds,
        "compile_seconds": sum(cost["compile_seconds"] for cost in costs),
        "device": ", ".join(dict.fromkeys(cost["device"] for cost in costs)),
    }


def _peak_memory() -> dict[str, Any]:
    """Of the fullest device of this process where the platform counts it, else of the process."""
    statistics = [device.memory_stats() or {} for device in jax.local_devices()]
    peak = max(entry.get("peak_bytes_in_use", 0) for entry in statistics)
    if peak:
        return {"peak_bytes": peak, "of": "device"}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "of": "process"}
