"""How far a tile's edge reaches into it: the overlap that tiles need, measured on real frames.

    python scripts/measure_overlap.py VIDEO [--weights PATH] [--first FRAME]

A crop of a video goes through the network as a whole and as a tile from its middle. Printed is, by distance from the
tile's edge in input pixels, the largest difference of the two in grey levels of 255. A seam does not show where it
is below 1: tiles are faded into each other (overlap − 8) / 2 pixels inside.
"""

import argparse
from pathlib import Path

import jax
import numpy as np

from yogo_jax.errors import UserError
from yogo_jax.imaging import SCALE
from yogo_jax.video.network import load_network
from yogo_jax.video.reader import VideoReader

WHOLE, TILE = 192, 128


def differences(video: Path, weights: Path | None, first: int) -> np.ndarray:
    """[TILE / 2]: the largest difference at each distance from the tile's edge, in grey levels."""
    network = load_network(weights)
    images = [frame.image for number, frame in zip(range(first + network.frames), VideoReader(video), strict=False)]
    frames = np.stack(images[first:])
    frames = frames / np.float32(np.iinfo(frames.dtype).max)
    height, width = frames.shape[1:3]
    if len(frames) < network.frames or min(height, width) < WHOLE:
        raise UserError(
            f"{video} has too few or too small frames: {network.frames} of {WHOLE} pixels a side are needed"
        )
    top, left, margin = (height - WHOLE) // 2, (width - WHOLE) // 2, (WHOLE - TILE) // 2
    crop = frames[None, :, top : top + WHOLE, left : left + WHOLE]
    apply = jax.jit(network.apply)
    whole = np.clip(np.asarray(apply(crop))[0], 0, 1)
    tile = np.clip(np.asarray(apply(crop[:, :, margin : margin + TILE, margin : margin + TILE]))[0], 0, 1)
    inner = slice(SCALE * margin, SCALE * (margin + TILE))
    difference = 255 * np.abs(tile - whole[:, inner, inner]).max(axis=(0, -1))
    line = np.arange(SCALE * TILE)
    depth = np.minimum(line, line[::-1]) // SCALE
    depth = np.minimum(depth[:, None], depth)
    return np.array([difference[depth == distance].max() for distance in range(TILE // 2)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    for distance, difference in enumerate(differences(args.video, args.weights, args.first)):
        print(f"{distance:3d} pixels {difference:8.3f}")


if __name__ == "__main__":
    main()
