"""Write clips of moving shapes as folders of PNG: footage for a first try, without anything to download.

python scripts/generate_clips.py DIR --clips 6 --frames 14 --size 128x96
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image


def moving_shapes(seed: int, frames: int, height: int, width: int) -> np.ndarray:
    """[T, H, W, 3] uint8: soft discs and gratings, each with its own colour and velocity, over a gradient."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    time = np.arange(frames, dtype=np.float32)[:, None, None]
    clip = np.stack([x / width, y / height, (x + y) / (width + height)], axis=-1)[None].repeat(frames, 0)
    for number in range(8):
        colour = rng.uniform(0, 1, 3).astype(np.float32)
        velocity = rng.uniform(-4, 4, 2)
        centre = rng.uniform(0, 1, 2) * (height, width)
        down = (y - centre[0] - velocity[0] * time + height / 2) % height - height / 2
        right = (x - centre[1] - velocity[1] * time + width / 2) % width - width / 2
        radius = rng.uniform(0.08, 0.25) * min(height, width)
        cover = np.clip(radius - np.hypot(down, right) + 0.5, 0, 1)
        if number % 2:
            angle, period = rng.uniform(0, np.pi), rng.uniform(4, 12)
            wave = np.sin(2 * np.pi * (down * np.sin(angle) + right * np.cos(angle)) / period)
            cover = cover * (0.5 + 0.5 * wave)
        clip = clip + cover[..., None] * (colour - clip)
    return np.round(255 * clip).astype(np.uint8)


def write_clips(folder: Path, clips: int, frames: int, height: int, width: int) -> None:
    """folder/clipNN/frame_NNN.png."""
    for number in range(clips):
        target = folder / f"clip{number:02d}"
        target.mkdir(parents=True, exist_ok=True)
        for index, frame in enumerate(moving_shapes(number, frames, height, width)):
            Image.fromarray(frame).save(target / f"frame_{index:03d}.png")


def main() -> None:
    """Parse the command line and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--frames", type=int, default=14)
    parser.add_argument("--size", default="128x96", help="WIDTHxHEIGHT")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    write_clips(args.folder, args.clips, args.frames, height, width)


if __name__ == "__main__":
    main()
