"""How far a tile's edge reaches into it: the overlap that tiles need, measured on real frames.

    python scripts/measure_overlap.py VIDEO [--weights PATH] [--first FRAME]

A crop of a video goes through the network as a whole and as a tile from its middle. Printed is, by distance from the
tile's edge in input pixels, the largest difference of the two in grey levels of 255. A seam does not show where it
is below 1: tiles are faded into each other (overlap − 8) / 2 pixels inside.

Some gates of the network average over all of a tile, so the hard case is a busy tile beside a flat one. The last line
is for frames whose right half is a flat sky, in tiles as a video's, against the same frames as one.
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

WHOLE, TILE, SMALL_TILE = 192, 128, 64


SKY = 150, 190, 230


def read(video: Path, count: int, first: int) -> np.ndarray:
    """[count, H, W, 3] of the video's integers. Raises UserError when there are too few, or too small ones."""
    images = [frame.image for _, frame in zip(range(first + count), VideoReader(video), strict=False)][first:]
    if len(images) < count or min(images[0].shape[:2]) <= SMALL_TILE:
        raise UserError(
            f"{video} has too few or too small frames: {count} of {SMALL_TILE + 1} pixels a side are needed"
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


def uneven(network: Network, frames: np.ndarray) -> np.ndarray:
    """[2N−1, 4H, 4W]: how far tiles are from the whole in grey levels, when the right half is a flat sky."""
    frames = frames[:, : 2 * SMALL_TILE, : 4 * SMALL_TILE].copy()
    height, width = frames.shape[1:3]
    frames[:, :, width // 2 :] = np.array(SKY, frames.dtype) * (np.iinfo(frames.dtype).max // 255)
    whole, tiled = (
        next(TiledNetwork(network.apply, tile, network.overlap, jax.devices()[:1])([(0, list(frames))]))[1]
        for tile in ((height, width), (SMALL_TILE, SMALL_TILE))
    )
    return np.abs(tiled.astype(float) - whole).max(axis=-1) * 255 / FULL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    network = load_network(args.weights)
    frames = read(args.video, network.frames, args.first)
    if min(frames.shape[1:3]) >= WHOLE:
        for distance, difference in enumerate(differences(network, frames)):
            print(f"{distance:3d} pixels {difference:8.3f}")
    difference = uneven(network, frames)
    frame, y, x = np.unravel_index(difference.argmax(), difference.shape)
    print(
        f"beside a flat sky: {difference.max():.3f} at most (output frame {frame}, row {y}, column {x}),"
        f" {difference.mean():.4f} on average, above 1 in {100 * (difference > 1).mean():.3f} % of the pixels"
    )


if __name__ == "__main__":
    main()
