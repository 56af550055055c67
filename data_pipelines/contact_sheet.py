"""Contact sheets: what is in a data set, at a glance."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from data_pipelines.source import Source, splits

_WIDTH, _LINE, _COLUMNS = 160, 14, 7


def write(data_dir: str | Path, name: str, folder: Path | None = None, rows: int = 12) -> list[Path]:
    """One PNG for each split: `rows` examples spread over it, seven frames of each. Returns their paths.

    `folder` None puts them beside the shards.
    """
    paths = []
    for split in splits(data_dir, name):
        source = Source(data_dir, name, split)
        target = folder or source.directory
        target.mkdir(parents=True, exist_ok=True)
        paths.append(target / f"contact_sheet_{split}.png")
        indices = np.unique(np.linspace(0, len(source) - 1, rows).round().astype(int))
        strips = [_strip(source, int(index)) for index in indices]
        sheet = Image.new("RGB", (_WIDTH * _COLUMNS, sum(strip.height for strip in strips)))
        top = 0
        for strip in strips:
            sheet.paste(strip, (0, top))
            top += strip.height
        aside = paths[-1].with_suffix(".part")
        sheet.save(aside, "PNG")
        aside.replace(paths[-1])
    return paths


def _strip(source: Source, index: int) -> Image.Image:
    clip = source[index]
    count, height, width, _ = clip.frames.shape
    tall = max(1, round(_WIDTH * height / width))
    strip = Image.new("RGB", (_WIDTH * _COLUMNS, tall + _LINE), "white")
    ImageDraw.Draw(strip).text((2, 1), f"{index}  {clip.id}  {width}x{height}", fill="black")
    shown = np.unique(np.linspace(0, count - 1, _COLUMNS).round().astype(int))
    for column, frame in enumerate(clip.frames[shown]):
        strip.paste(Image.fromarray(frame).resize((_WIDTH, tall)), (column * _WIDTH, _LINE))
    return strip
