"""The report's HTML: sections as text, joined with the style and the script into one file."""

import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from yogo_jax.evaluation.report.exhibits import Exhibit, Look
from yogo_jax.evaluation.report.pictures import data_uri, grey, heat
from yogo_jax.evaluation.table import SETS, Row, cells, with_published
from yogo_jax.imaging import quantise, structure_and_detail

COLOURS = ("#4fa3ff", "#ffb454", "#5fd38d", "#e879c6", "#b79cff", "#ff7b72", "#4dd4d4", "#c9c94f")
TRUTH = "ground truth"

DETAIL_RANGE = 0.25  # ± shown of the detail maps


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each method."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def render(title: str, sections: Sequence[tuple[str, str]], data: dict[str, Any]) -> str:
    """One page from (heading, HTML) pairs. `data` is what the script needs."""
    folder = resources.files("yogo_jax.evaluation.report")
    part = {name: (folder / name).read_text("utf-8") for name in ("page.html", "style.css", "script.js")}
    links = "".join(f'<a href="#s{i}">{escape(heading)}</a>' for i, (heading, _) in enumerate(sections))
    body = "".join(f'<section id="s{i}"><h2>{escape(h)}</h2>{html}</section>' for i, (h, html) in enumerate(sections))
    return Template(part["page.html"]).substitute(
        title=escape(title),
        style=part["style.css"],
        script=part["script.js"],
        data=json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),  # cannot close its element
        body=f'<main><header><h1>{escape(title)}</h1><p class="soft">{INTRODUCTION}</p></header>'
        f'<nav aria-label="Sections">{links}</nav>{body}</main>',
    )


INTRODUCTION = (
    "Space-time super-resolution: four times the size, twice the frame rate. Of every seven frames a method is given "
    "numbers 0, 2, 4 and 6, a quarter of the size; it makes all seven. PSNR and SSIM are of luma."
)


def table(rows: Sequence[Row]) -> str:
    """Table 2, the published rows among ours."""
    sets, rows = with_published(rows)
    heads = [f"{escape(SETS.get(name, name))}<br>{metric}" for name in sets for metric in ("PSNR ↑", "SSIM ↑")]
    head = "".join(
        f"<th>{text}</th>" for text in ["Method", *heads, "Speed<br>(fps) ↑", "FLOPs<br>(T) ↓", "Params<br>(M) ↓"]
    )
    lines = []
    for title, kind, published in (("Published", "published", True), ("Evaluated here", "ours", False)):
        group = [row for row in rows if row.published is published]
        if group:
            lines.append(f'<tr class="group"><th colspan="{len(heads) + 4}" scope="rowgroup">{title}</th></tr>')
        for row in group:
            figures = "".join(f"<td>{cell}</td>" for cell in cells(row, sets))
            lines.append(f'<tr class="{kind}"><td>{escape(row.method)}</td>{figures}</tr>')
    note = "FLOPs: convolution multiply-adds of 4 frames of 180×144."
    if any(row.published for row in rows):
        note = "Published rows are the papers' own figures, their speed that of the authors' GPU. " + note
    if any(row.partial for row in rows):
        note += " * marks a set of which clips are missing."
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>' + (
        f'<p class="soft">{note}</p>'
    )


def known_and_made(runs: Sequence[dict[str, Any]]) -> str:
    """Frames that were given at low resolution, and frames made from nothing, apart."""
    head = (
        "<tr><th>Method</th><th>Set</th><th>known PSNR</th><th>known SSIM</th><th>made PSNR</th><th>made SSIM</th></tr>"
    )
    lines = []
    for run in runs:
        figures = (f"<td>{run[g]['psnr_y']:.2f}</td><td>{run[g]['ssim_y']:.4f}</td>" for g in ("known", "made"))
        name, data = run["model"]["name"], run["data"]["name"]
        texts = "".join(f"<td>{escape(text)}</td>" for text in (name, SETS.get(data, str(data))))
        lines.append(f"<tr>{texts}{''.join(figures)}</tr>")
    given_all = [run["model"]["name"] for run in runs if run["model"].get("baseline") == "bicubic"]
    note = f"{escape(given_all[0])} is given every frame at a quarter of the size, and makes none." if given_all else ""
    return (
        f'<h3>Known and made frames</h3><div class="scroll"><table>{head}{"".join(lines)}</table></div>'
        f'<p class="soft">{note}</p>'
    )


def curves(clips: Sequence[str], names: Sequence[str], left_out: int) -> str:
    """A chart for each clip; the script draws them."""
    colour = colours(names)
    legend = "".join(f'<span><i style="background:{colour[n]}"></i>{escape(n)}</span>' for n in names)
    figures = "".join(
        f'<figure class="chart" data-chart="{i}"><h3>{escape(clip)}</h3>'
        f'<svg role="img" aria-label="Score of each frame of {escape(clip)}"></svg>'
        f'<input type="range" min="0" value="0" aria-label="Frame of {escape(clip)}"><output></output></figure>'
        for i, clip in enumerate(clips)
    )
    more = f" The first {len(clips)} clips are shown; {left_out} more are in frames.csv." if left_out else ""
    return (
        f'<p class="soft">Solid lines and filled dots are frames that were given, dashed lines and hollow dots frames '
        f"that were made.{more}</p>"
        '<div class="choices" id="metric"><button value="psnr_y" aria-pressed="true">PSNR</button>'
        f'<button value="ssim_y" aria-pressed="false">SSIM</button></div><div class="legend">{legend}</div>'
        f'<div class="charts">{figures}</div>'
    )


Scores = dict[tuple[str, int, str], tuple[float, float]]
"""PSNR and SSIM by (clip, frame, method)."""


def pictures(shown: Sequence[Exhibit], scores: Scores) -> str:
    """The slider and the zoomed crop of each frame, and the buttons that choose one."""
    return _blocks(shown, [_picture(e, scores) for e in shown])


def inside(shown: Sequence[Exhibit]) -> str:
    """What is behind each picture: errors, temporal profiles, structure and detail, feature maps."""
    return _blocks(shown, [_inside(e) for e in shown])


def _blocks(shown: Sequence[Exhibit], blocks: Sequence[str]) -> str:
    buttons = "".join(
        f'<button value="{i}" aria-pressed="{str(i == 0).lower()}">{escape(e.clip)} {e.frame}</button>'
        for i, e in enumerate(shown)
    )
    hidden = ["" if i == 0 else " hidden" for i in range(len(blocks))]
    return f'<div class="choices frames">{buttons}</div>' + "".join(
        f'<div class="exhibit" data-exhibit="{i}"{hidden[i]}>{block}</div>' for i, block in enumerate(blocks)
    )


def images(shown: Exhibit) -> dict[str, str]:
    """The whole frames of an exhibit, by method, as `data:` addresses."""
    return {**{name: data_uri(look.frame) for name, look in shown.looks.items()}, TRUTH: data_uri(shown.truth)}


def _picture(shown: Exhibit, scores: Scores) -> str:
    names = list(shown.looks)
    kind = "given at a quarter of the size" if shown.known else "made: no low-resolution form of it was given"
    return (
        f'<p class="soft">{escape(shown.clip)}, frame {shown.frame} ({kind}).</p>{_compare(shown, names)}'
        '<h3>Zoomed crop</h3><p class="soft">Where the methods differ most. Drag the box, or move it with the arrow '
        f"keys.</p>{_zoom(shown, [*names, TRUTH], scores)}"
    )


def _inside(shown: Exhibit) -> str:
    parts = [_errors(shown), _profiles(shown)]
    for name, look in shown.looks.items():
        parts += [_structure_and_detail(name, look, shown), _maps(name, look, shown)]
    return "".join(parts)


def _compare(shown: Exhibit, names: Sequence[str]) -> str:
    height, width = shown.truth.shape[:2]

    def select(side: str, chosen: str, label: str) -> str:
        options = "".join(
            f"<option{' selected' if name == chosen else ''}>{escape(name)}</option>" for name in (*names, TRUTH)
        )
        return f'<select class="{side}" aria-label="{label}">{options}</select>'

    right = names[-1] if len(names) > 1 else TRUTH
    return (
        f'<div class="stage" style="aspect-ratio:{width}/{height}"><img class="left" alt=""><img class="right" alt="">'
        '<span class="bar"></span><span class="name a"></span><span class="name b"></span>'
        '<input type="range" min="0" max="100" step="0.5" value="50" aria-label="Before and after"></div>'
        f'<div class="picks">{select("a", names[0], "Left picture")}{select("b", right, "Right picture")}</div>'
    )


def _zoom(shown: Exhibit, names: Sequence[str], scores: Scores) -> str:
    _, _, width, height = shown.crop
    tiles = []
    for name in names:
        score = scores.get((shown.clip, shown.frame, name))
        line = "{:.2f} dB / {:.4f}".format(*score) if score else "&nbsp;"
        tiles.append(
            f'<figure><canvas data-method="{escape(name)}" width="{width}" height="{height}"></canvas>'
            f"<figcaption><b>{escape(name)}</b>{line}</figcaption></figure>"
        )
    small = data_uri(shown.truth[::3, ::3])  # enough to find one's way
    return (
        '<div class="zoom"><div class="finder" tabindex="0" role="slider" aria-label="Place of the crop" '
        f'aria-valuenow="0"><img alt="" src="{small}" style="width:100%"><div class="box"></div></div>'
        f'<div class="tiles">{"".join(tiles)}</div></div>'
    )


def _figure(caption: str, image: np.ndarray, lossless: bool = False) -> str:
    return f'<figure><img alt="" src="{data_uri(image, lossless)}"><figcaption>{caption}</figcaption></figure>'


def _errors(shown: Exhibit) -> str:
    truth = shown.truth.astype(np.float32).mean(-1)
    errors = {name: abs(look.frame.astype(np.float32).mean(-1) - truth) for name, look in shown.looks.items()}
    top = max(1.0, float(np.percentile(list(errors.values()), 99.5)))
    tiles = "".join(_figure(f"<b>{escape(name)}</b>mean {e.mean():.2f}", heat(e, top)) for name, e in errors.items())
    scale = f'<div class="scale">0 <i></i> {top:.0f} levels of 255</div>'
    return f'<h3>Error</h3>{scale}<div class="tiles large">{tiles}</div>'


def _profiles(shown: Exhibit) -> str:
    strips = {**{name: look.profile for name, look in shown.looks.items()}, TRUTH: shown.truth_profile}
    figures = "".join(
        _figure(f"<b>{escape(name)}</b>", np.repeat(strip, 4, axis=0), lossless=True) for name, strip in strips.items()
    )
    count = len(shown.truth_profile)
    return (
        f'<h3>Temporal profile</h3><p class="soft">Row {shown.row} of the picture over {count} frames, downwards. '
        f'Steps and combs are flicker between given and made frames.</p><div class="strips">{figures}</div>'
    )


def _structure_and_detail(name: str, look: Look, shown: Exhibit) -> str:
    if look.structure is None or look.detail is None:
        return ""
    structure, detail = structure_and_detail(shown.truth)
    pairs = [("structure", look.structure), ("structure: its target", structure)]
    pairs += [("detail", look.detail), ("detail: its target", detail)]
    tiles = "".join(
        _figure(escape(caption), quantise(value if "structure" in caption else 0.5 + value / (2 * DETAIL_RANGE)))
        for caption, value in pairs
    )
    return f'<h3>Structure and detail of {escape(name)}</h3><div class="tiles four">{tiles}</div>'


def _maps(name: str, look: Look, shown: Exhibit) -> str:
    if look.dfu is None or look.fru is None:
        return ""
    bottom, top = (float(np.percentile([look.dfu, look.fru], q)) for q in (0.5, 99.5))
    figures = []
    for i, overlay in enumerate(shown.overlays):
        figures.append(_figure("low-resolution frame over the one before it", overlay, lossless=True))
        figures += [
            _figure(f"{unit}, mean over channels", grey(maps[i], bottom, top), lossless=True)
            for unit, maps in (("DFU", look.dfu), ("FRU", look.fru))
        ]
    return (
        f"<h3>Feature maps of {escape(name)}</h3>"
        '<p class="soft">Outputs of the DFU and the FRU at two neighbouring times, on one grey scale.</p>'
        f'<div class="scale">{bottom:.2f} <i class="grey"></i> {top:.2f}</div>'
        f'<div class="maps strips">{"".join(figures)}</div>'
    )
