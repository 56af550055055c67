"""Table 2 of the paper: our rows beside the published ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from yogo_jax.errors import UserError

SETS = {
    "vid4": "Vid4",
    "vimeo90k-fast": "Vimeo90K-Fast",
    "vimeo90k-medium": "Vimeo90K-Medium",
    "vimeo90k-slow": "Vimeo90K-Slow",
}
"""Columns in the paper's order, and their headings."""


@dataclass
class Row:
    """One method: (PSNR in dB, SSIM) by test set, frames per second, tera multiply-adds, millions of parameters.

    Attributes:
        partial: test sets of which some clips are missing.
    """

    method: str
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    fps: float | None = None
    multiply_adds: float | None = None
    parameters: float | None = None
    published: bool = False
    partial: set[str] = field(default_factory=set)


def _published(method: str, *figures: float | None) -> Row:
    *scores, fps, multiply_adds, parameters = figures
    pairs = dict(zip(SETS, zip(scores[::2], scores[1::2], strict=True), strict=True))
    return Row(method, pairs, fps, multiply_adds, parameters, published=True)  # type: ignore[arg-type]


# YOGO's Tables 1 and 2; RSTT-S from its own paper. Speeds were measured on the authors' GPU. DAIN + EDVR on Medium is
# 34.66 where it was first published (Zooming Slow-Mo, Table 1); YOGO's Table 1 prints 34.76.
PUBLISHED = (
    _published("SuperSloMo + bicubic", 22.84, 0.5772, 31.88, 0.8793, 29.94, 0.8477, 28.37, 0.8102, None, None, 19.8),
    _published("DAIN + EDVR", 26.12, 0.7836, 35.81, 0.9323, 34.66, 0.9281, 33.11, 0.9119, None, None, 44.7),
    _published("STARnet", 26.06, 0.8046, 36.19, 0.9368, 34.86, 0.9356, 33.10, 0.9164, 14.92, 27.926, 111.6),
    _published("Zooming Slow-Mo", 26.31, 0.7976, 36.81, 0.9415, 35.41, 0.9361, 33.36, 0.9138, 17.34, 1.766, 11.10),
    _published("TMNet", 26.43, 0.8016, 37.04, 0.9435, 35.60, 0.9380, 33.51, 0.9159, 15.62, 1.874, 12.26),
    _published("RSTT-S", 26.29, 0.7941, 36.58, 0.9381, 35.43, 0.9358, 33.30, 0.9123, None, None, 4.49),
    _published("YOGO (56)", 26.28, 0.7996, 36.76, 0.9397, 35.32, 0.9349, 33.33, 0.9134, 16.72, 1.148, 9.5),
    _published("YOGO (64)", 26.34, 0.8022, 36.93, 0.9416, 35.55, 0.9365, 33.44, 0.9150, 15.87, 1.470, 12.1),
)


def rows_of(runs: Iterable[dict[str, Any]]) -> list[Row]:
    """One row for each model of these results (`results.json`); its test sets share the row.

    Speed is the one on Vid4, as the paper measures it, or else that on the first set.

    Raises:
        UserError: two models of one name.
    """
    rows: dict[str, Row] = {}
    seen: dict[str, str] = {}
    for run in runs:
        model, data = run["model"], run["data"]["name"]
        identity = model.get("sha256") or model.get("baseline")
        if seen.setdefault(model["name"], identity) != identity:
            raise UserError(f"two models are called {model['name']!r}; `yogo eval --name` tells them apart")
        row = rows.setdefault(model["name"], Row(model["name"]))
        row.scores[data] = (run["total"]["psnr_y"], run["total"]["ssim_y"])
        if run["data"]["missing"] or run["data"]["failed"]:
            row.partial.add(data)
        if row.fps is None or data == "vid4":
            row.fps = run["speed"]["fps"]
        row.multiply_adds = model["multiply_adds"] / 1e12 or None
        row.parameters = model["parameters"] / 1e6 or None
    return list(rows.values())


def with_published(rows: Sequence[Row]) -> tuple[list[str], list[Row]]:
    """(test sets that `rows` have scores on, the published rows if there are any for these, then `rows`)."""
    scored = {name for row in rows for name in row.scores}
    known = [name for name in SETS if name in scored]
    return known + sorted(scored - set(SETS)), [*(PUBLISHED if known else ()), *rows]


def cells(row: Row, sets: Sequence[str]) -> list[str]:
    """A row's figures as text: PSNR and SSIM for each set, then speed, multiply-adds and parameters."""
    found = []
    for name in sets:
        psnr, ssim = row.scores.get(name, (None, None))
        mark = "*" if name in row.partial else ""
        found += [_text(psnr, ".2f") + mark, _text(ssim, ".4f") + mark]
    return [*found, _text(row.fps, ".2f"), _text(row.multiply_adds, ".3f"), _text(row.parameters, ".2f")]


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def render(rows: Sequence[Row]) -> str:
    """The table as text, in the paper's form."""
    sets, rows = with_published(rows)
    titles = [f"{SETS.get(name, name)} {metric}" for name in sets for metric in ("PSNR", "SSIM")]
    head = ["Method", "", *titles, "fps", "FLOPs (T)", "params (M)"]
    lines = [head, *([row.method, "published" if row.published else "", *cells(row, sets)] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "  ".join(
            [
                line[0].ljust(widths[0]),
                line[1].ljust(widths[1]),
                *(cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)),
            ]
        ).rstrip()
        for line in lines
    ]
    text.insert(1, "-" * max(map(len, text)))
    if any(row.partial for row in rows):
        text.append("* not all clips")
    return "\n".join(text)
