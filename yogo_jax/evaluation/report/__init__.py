"""`yogo report`: the results of several runs as one static, self-contained HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yogo_jax.errors import UserError
from yogo_jax.evaluation.clips import Clip, find_clips
from yogo_jax.evaluation.models import of_results
from yogo_jax.evaluation.report import page
from yogo_jax.evaluation.report.exhibits import Examiner, exhibit
from yogo_jax.evaluation.results import read_frames, read_results, write_text
from yogo_jax.evaluation.table import SETS, rows_of

CHARTS = 12  # clips that get a chart: Vimeo90K has thousands
EXHIBITS = 4

Frames = dict[str, dict[str, dict[str, Any]]]
"""clip → method → {"known": [...], "psnr_y": [...], "ssim_y": [...]}"""


def build(folders: Sequence[Path], out: Path, chosen: Sequence[str] | None = None, source: Path | None = None) -> Path:
    """Write `out/index.html` from the folders of finished runs.

    The table takes all runs; curves and pictures are of the first run's test set. For the pictures, every model is
    run again on the windows of the chosen frames.

    Args:
        chosen: "CLIP:FRAME" each, frames counted from 0; None chooses up to four; [] shows no pictures.
        source: where the clips are now, if not where the first run found them.

    Raises:
        UserError: folders without results, two runs of one name on one test set, an unknown clip or frame, or models
            and clips that are not where they were.
    """
    runs = [read_results(folder) for folder in folders]
    named = [(run["data"]["name"], run["model"]["name"]) for run in runs]
    for i, (data, name) in enumerate(named):
        if (data, name) in named[:i]:
            raise UserError(f"{folders[i]}: a second run of {name!r} on {data}; `yogo eval --name` tells them apart")
    data = named[0][0]
    drawn = {
        run["model"]["name"]: folder for run, folder in zip(runs, folders, strict=True) if run["data"]["name"] == data
    }
    frames = _frames(drawn)
    places = _choose(frames) if chosen is None else [_place(text, frames) for text in chosen]
    shown = []
    if places:
        clips = _clips(runs[0], source)
        models = [Examiner(of_results(run["model"])) for run in runs if run["data"]["name"] == data]
        if missing := [clip for clip, _ in places if clip not in clips]:
            raise UserError(
                f"{source or runs[0]['data']['source']}: clip {missing[0]} is not there any more (--source)"
            )
        shown = [exhibit(clips[clip], frame, models) for clip, frame in places]
    scores = {
        (clip, i, name): (one["psnr_y"][i], one["ssim_y"][i])
        for clip, methods in frames.items()
        for name, one in methods.items()
        for i in range(len(one["known"]))
    }
    charts = list(frames)[:CHARTS]
    sections = [
        ("Scores", page.table(rows_of(runs)) + page.known_and_made(runs)),
        ("Frame by frame", page.curves(charts, list(drawn), len(frames) - len(charts))),
    ]
    if shown:  # first what there is to look at
        sections = [("A closer look", page.pictures(shown, scores)), *sections, ("Inside", page.inside(shown))]
    content = {
        "colours": page.colours(list(drawn)),
        "charts": [{"known": next(iter(frames[c].values()))["known"], "series": frames[c]} for c in charts],
        "exhibits": [
            {"images": page.images(e), "crop": e.crop, "size": [e.truth.shape[1], e.truth.shape[0]]} for e in shown
        ],
    }
    write_text(out / "index.html", page.render(f"Results on {SETS.get(data, data)}", sections, content))
    return out / "index.html"


def _frames(drawn: dict[str, Path]) -> Frames:
    """Scores of the clips that every run has. Raises UserError where there is none, or their lengths differ."""
    by_method = {name: read_frames(folder) for name, folder in drawn.items()}
    first = next(iter(by_method.values()))
    common = [clip for clip in first if all(clip in clips for clips in by_method.values())]
    if not common:
        raise UserError(f"{', '.join(drawn)}: no clip that all of them were scored on")
    for clip in common:
        lengths = {name: len(clips[clip]["known"]) for name, clips in by_method.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise UserError(f"{clip} was not the same clip in all runs: frames of {told}")
    return {clip: {name: clips[clip] for name, clips in by_method.items()} for clip in common}


def _choose(frames: Frames) -> list[tuple[str, int]]:
    """In each of the first clips, the made frame on which the methods are furthest apart in PSNR."""
    places = []
    for clip, methods in list(frames.items())[:EXHIBITS]:
        scores = np.array([one["psnr_y"] for one in methods.values()])
        spread = np.ptp(scores, axis=0) if len(scores) > 1 else -scores[0]
        made = [i for i, known in enumerate(next(iter(methods.values()))["known"]) if not known]
        places.append((clip, max(made, key=lambda i: spread[i])))
    return places


def _place(text: str, frames: Frames) -> tuple[str, int]:
    clip, _, number = text.rpartition(":")
    if not number.isdecimal() or clip not in frames:
        raise UserError(f"--frames {text}: it takes CLIP:FRAME, with a clip such as {next(iter(frames))}")
    count = len(next(iter(frames[clip].values()))["known"])
    if int(number) >= count:
        raise UserError(f"--frames {text}: {clip} has frames 0 to {count - 1}")
    return clip, int(number)


def _clips(run: dict[str, Any], source: Path | None) -> dict[str, Clip]:
    listing = run["data"].get("list")
    found = find_clips(run["data"]["name"], source or Path(run["data"]["source"]), Path(listing) if listing else None)
    return {clip.name: clip for clip in found.clips}
