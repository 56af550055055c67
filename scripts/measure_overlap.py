"""How far a tile's edge reaches into it: the overlap that tiles need, measured on real frames.

    python scripts/measure_overlap.py VIDEO [--weights PATH] [--first FRAME]

A crop of a video goes through the network as a whole and as a tile from its middle. Printed is, by distance from the
tile's edge in input pixels, the largest difference of the two in grey levels of 255. A seam does not show where it
is below 1: tiles are faded into each other (overlap − 8) / 2 pixels inside.

Then frames go through in tiles as a video's do, 64 pixels larger than their overlap, against the same frames as one:
with the network's own overlap and with smaller ones. Gates of the network average over all of a tile, so the last
line is for the hard case, a busy tile beside a flat one: frames whose right half is a flat sky.
"""

import argparse
from pathlib import Path

import jax
import numpy as np

from yogo_jax.errors import UserError
from yogo_jax.imaging import SCALE
from yogo_jax.video.network import Network, load_network
from yogo_jax.video.reader import VideoReader
from yogo_jax.video.tiles import FULL, TiledNetwork

WHOLE, TILE = 192, 128
FRESH = 64  # pixels of a tile's side that it does not share
OVERLAPS = 32, 64, 80

SKY = 150, 190, 230


def read(video: Path, count: int, first: int, overlap: int) -> np.ndarray:
    """[count, H, W, 3] of the video's integers. Raises UserError when there are too few, or too small ones."""
    images = [frame.image for _, frame in zip(range(first + count), VideoReader(video), strict=False)][first:]
    if len(images) < count or images[0].shape[1] <= overlap + FRESH:
        raise UserError(
            f"{video} has too few or too narrow frames: {count} of {overlap + FRESH + 1} pixels or more are needed"
        )
    return np.stack(images)


def differences(network: Network, frames: np.ndarray) -> np.ndarray:
    """[TILE / 2]: the largest difference at each distance from the tile's edge, in grey levels."""
    frames = frames / np.float32(np.iinfo(frames.dtype).max)
    height, width = frames.shape[1:3]
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


def seams(network: Network, frames: np.ndarray, overlap: int) -> str:
    """How far tiles that share `overlap` pixels are from the whole, in words."""
    height, width = frames.shape[1:3]
    side = overlap + FRESH
    whole, tiled = (
        next(TiledNetwork(network.apply, tile, overlap, jax.devices()[:1])([(0, list(frames))]))[1]
        for tile in ((height, width), (min(height, side), side))
    )
    difference = np.abs(tiled.astype(float) - whole).max(axis=-1) * 255 / FULL
    frame, y, x = np.unravel_index(difference.argmax(), difference.shape)
    return (
        f"{difference.max():.3f} at most (output frame {frame}, row {y}, column {x}),"
        f" {difference.mean():.4f} on average, above 1 in {100 * (difference > 1).mean():.3f} % of the pixels"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    network = load_network(args.weights)
    frames = read(args.video, network.frames, args.first, network.overlap)
    if min(frames.shape[1:3]) >= WHOLE:
        for distance, difference in enumerate(differences(network, frames)):
            print(f"{distance:3d} pixels {difference:8.3f}")
    largest = 2 * (network.overlap + FRESH)
    frames = frames[:, :largest, : 2 * largest].copy()
    for overlap in sorted({network.overlap, *(n for n in OVERLAPS if n < network.overlap)}):
        print(f"overlap {overlap}: {seams(network, frames, overlap)}", flush=True)
    frames[:, :, frames.shape[2] // 2 :] = np.array(SKY, frames.dtype) * (np.iinfo(frames.dtype).max // 255)
    print(f"overlap {network.overlap}, beside a flat sky: {seams(network, frames, network.overlap)}")


if __name__ == "__main__":
    main()
