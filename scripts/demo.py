"""`make demo`: the main job on a short real clip that ships here, and a picture of what it did.

    python scripts/demo.py demo_output

Writes DEMO_OUTPUT/city_4x.mp4, and comparison.png: input, bicubic and result side by side, of a frame that the
input has and of one that it has not, whole and in a crop.
"""

import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from yogo_jax import imaging
from yogo_jax.cli import main as yogo

CLIP = Path(__file__).parent / "demo" / "city.mp4"
KNOWN = 12  # of the input's frames, the one to show
ZOOM = 3  # of the crop, from the middle of the frame


def frames(path: Path, numbers: list[int]) -> list[np.ndarray]:
    """Some frames of a video, `[H, W, 3]` uint8 each."""
    with av.open(path) as container:
        wanted = {n: f.to_ndarray(format="rgb24") for n, f in enumerate(container.decode(video=0)) if n in numbers}
    return [wanted[number] for number in numbers]


def comparison(small: list[np.ndarray], large: list[np.ndarray]) -> Image.Image:
    """Rows: a known frame and the made one after it. Columns: input, bicubic (or linear blend), result, and crops.

    Args:
      small: two frames of the input, `[h, w, 3]`.
      large: of the result, the first of these and the one made between them, `[4h, 4w, 3]`.
    """
    height, width = large[0].shape[:2]
    before, after = (imaging.upscale(imaging.to_float(frame)) for frame in small)
    classical = [imaging.quantise(before), imaging.quantise((before + after) / 2)]
    nearest, following = (frame.repeat(4, 0).repeat(4, 1) for frame in small)
    neighbours = np.hstack([nearest[:, : width // 2], following[:, width // 2 :]])
    titles = [
        ("input", "bicubic x4", "YOGO"),
        ("not in the input: the frames before | after", "bicubic x4, blended", "YOGO, a made frame"),
    ]
    margins = (width - width / ZOOM) / 2, (height - height / ZOOM) / 2
    middle = (*margins, width - margins[0], height - margins[1])
    sheet = Image.new("RGB", (3 * width, 4 * height + 4 * 28), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(20)
    for row, shown in enumerate([(nearest, classical[0], large[0]), (neighbours, classical[1], large[1])]):
        for column, (image, title) in enumerate(zip(shown, titles[row], strict=True)):
            y = 2 * row * (height + 28)
            draw.text((column * width + 8, y + 2), title, "black", font)
            draw.text((column * width + 8, y + height + 30), f"{title}: crop", "black", font)
            whole = Image.fromarray(image)
            sheet.paste(whole, (column * width, y + 28))
            crop = whole.resize((width, height), Image.Resampling.NEAREST, box=middle)
            sheet.paste(crop, (column * width, y + height + 56))
    return sheet


def main(folder: str) -> int:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    video, picture = out / "city_4x.mp4", out / "comparison.png"
    if code := yogo(["upscale", str(CLIP), str(video), "--overwrite"]):
        return code
    sheet = comparison(frames(CLIP, [KNOWN, KNOWN + 1]), frames(video, [2 * KNOWN, 2 * KNOWN + 1]))
    sheet.save(picture)
    print(f"the video:   {video}\nthe picture: {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "demo_output"))
