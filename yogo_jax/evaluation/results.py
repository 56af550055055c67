"""What a run leaves in its folder: a journal to resume from, then tables and `results.json`.

journal.jsonl   the run's identity, then a line for each clip as it is done
frames.csv      a line for each frame
clips.csv       a line for each clip, and the total
results.json    everything but the frames, and what it cost
"""

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from yogo_jax.errors import UserError
from yogo_jax.evaluation.evaluate import METRICS, ClipScores
from yogo_jax.files import written_aside


class Journal:
    """The clips done so far, on disk as soon as they are known, and what each session had cost by then.

    A line that a killed run left unfinished is dropped.

    Raises:
        UserError: a journal of another model or test set, or a file that is none.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], writes: bool = True):
        self._path = folder / "journal.jsonl"
        self._writes = writes
        self.clips: dict[str, ClipScores] = {}
        self.costs: list[dict[str, Any]] = []  # of each session that did a clip
        head = json.dumps(identity, sort_keys=True)
        lines = self._whole_lines()
        if lines and lines[0] != head:
            raise UserError(f"{self._path}: results of another run; choose another --out, or remove the folder")
        try:
            for line in map(json.loads, lines[1:]):
                self._keep(line.pop("session"), line.pop("cost"), ClipScores(**line))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{self._path}: damaged ({error}); remove it to start again") from error
        self._session = len(self.costs)
        if writes and not lines:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._append(head)
            except OSError as error:
                raise UserError(f"{folder}: cannot write results here: {error.strerror}") from error

    def _keep(self, session: int, cost: dict[str, Any], clip: ClipScores) -> None:
        self.clips[clip.name] = clip
        self.costs[session:] = [cost]

    def _whole_lines(self) -> list[str]:
        if not self._path.is_file():
            return []
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if self._writes and len(whole) < len(data):
            os.truncate(self._path, len(whole))
        return whole.decode(errors="replace").splitlines()

    def add(self, clip: ClipScores, cost: dict[str, Any]) -> None:
        """Keep a clip that has been scored, and what the session has cost so far."""
        self._keep(self._session, cost, clip)
        if self._writes:
            self._append(json.dumps({**asdict(clip), "session": self._session, "cost": cost}))

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())


def means(clip: ClipScores) -> dict[str, Any]:
    """A clip's mean scores: of all its frames, and under `known` and `made` of those given and those not."""
    known = np.array(clip.known)
    return {
        "frames": len(known),
        **_mean(clip, known | True),
        "known": {"frames": int(known.sum()), **_mean(clip, known)},
        "made": {"frames": int((~known).sum()), **_mean(clip, ~known)},
    }


def _mean(clip: ClipScores, chosen: np.ndarray) -> dict[str, float]:
    return {name: float(np.mean(np.array(clip.scores[name])[chosen])) for name in METRICS}


def summarise(clips: Iterable[ClipScores]) -> dict[str, Any]:
    """Mean over frames, then over clips: `total`, `known` and `made`, and `clips` by name."""
    by_clip = {clip.name: means(clip) for clip in clips}

    def average(groups: list[dict[str, Any]]) -> dict[str, Any]:
        mean = {name: float(np.mean([group[name] for group in groups])) for name in METRICS}
        return {"frames": sum(group["frames"] for group in groups), **mean}

    return {
        "total": average(list(by_clip.values())),
        "known": average([clip["known"] for clip in by_clip.values()]),
        "made": average([clip["made"] for clip in by_clip.values()]),
        "clips": by_clip,
    }


def write_results(folder: Path, clips: list[ClipScores], results: dict[str, Any]) -> None:
    """Write both CSV files and `results.json`, each aside first and then moved into place."""
    frames = [["clip", "frame", "known", *METRICS]]
    for clip in clips:
        values = zip(*(clip.scores[name] for name in METRICS), strict=True)
        frames += [[clip.name, i, int(clip.known[i]), *scores] for i, scores in enumerate(values)]
    write_text(folder / "frames.csv", _csv(frames))

    groups = ("", "known_", "made_")
    table = [["clip", "frames", *(prefix + name for prefix in groups for name in METRICS)]]
    total = {"frames": results["total"]["frames"], **results["total"]} | {k: results[k] for k in ("known", "made")}
    for name, clip in [*results["clips"].items(), ("total", total)]:
        parts = (clip, clip["known"], clip["made"])
        table.append([name, clip["frames"], *(part[metric] for part in parts for metric in METRICS)])
    write_text(folder / "clips.csv", _csv(table))
    write_text(folder / "results.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_text(path: Path, text: str) -> None:
    """Write aside, then move into place. Raises UserError."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def read_results(folder: Path) -> dict[str, Any]:
    """`results.json` of a finished run.

    Raises:
        UserError: no finished run there.
    """
    path = folder / "results.json" if folder.is_dir() else folder
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        _ = results["model"]["name"], results["data"]["name"], results["total"]["psnr_y"], results["clips"]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; a folder that `yogo eval --out` has finished is wanted") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the results of `yogo eval` ({error})") from error
    return results


def read_frames(folder: Path) -> dict[str, dict[str, list]]:
    """`frames.csv` of a finished run: clip → {"known": [bool], "psnr_y": [...], "ssim_y": [...]}.

    Raises:
        UserError: no such file, or not one of ours.
    """
    path = folder / "frames.csv"
    clips: dict[str, dict[str, list]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                clip = clips.setdefault(line["clip"], {"known": [], "psnr_y": [], "ssim_y": []})
                clip["known"].append(line["known"] == "1")
                for name in ("psnr_y", "ssim_y"):
                    clip[name].append(float(line[name]))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{path}: not the frames of a finished `yogo eval` ({error})") from error
    return clips
