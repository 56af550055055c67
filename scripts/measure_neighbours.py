"""What a network draws from neighbouring frames: by clip, its known frames with them and without them.

    python scripts/measure_neighbours.py FOLDER_OF_CLIPS [--weights PATH] [--windows N]

Printed is the PSNR of each window's second known frame, on luma: by bicubic, by the network from four copies of that
frame, and by the network from the four frames as they are. A network that is no more than one for single images
gains nothing in the last column.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from yogo_jax import imaging
from yogo_jax.evaluation.clips import find_clips
from yogo_jax.evaluation.metrics import frame_scores
from yogo_jax.evaluation.models import network
from yogo_jax.evaluation.protocol import Window, first_windows

FRAME = 1  # of the known ones


def with_and_without(apply: Callable[[np.ndarray], jax.Array], clip: list[Window]) -> np.ndarray:
    """PSNR of bicubic, of `apply` to copies, and of `apply` to neighbours, mean over windows: [3]."""
    found = []
    for window in clip:
        frames = imaging.low_resolution(window.frames[::2]) / np.float32(255)
        copies = np.repeat(frames[FRAME : FRAME + 1], len(frames), axis=0)
        images = [imaging.upscale(frames[FRAME]), *(apply(x[None])[0, 2 * FRAME] for x in (copies, frames))]
        truth = window.frames[2 * FRAME]
        found.append([float(frame_scores(image, truth)["psnr_y"]) for image in images])
    return np.mean(found, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--weights", type=Path, help="default: the packaged model")
    parser.add_argument("--windows", type=int, default=2, help="of seven frames, of each clip (default 2)")
    args = parser.parse_args()
    model = network(args.weights)
    apply = jax.jit(lambda frames: model.apply(model.parameters, frames))
    print(f"{'':24} {'bicubic':>8} {'alone':>8} {'among neighbours':>17}")
    for clip in find_clips("folder", args.clips).clips:
        if chosen := first_windows(clip, args.windows):
            bicubic, alone, among = with_and_without(apply, chosen)
            name = chosen[0].clip
            print(f"{name:24.24} {bicubic:8.2f} {alone:8.2f} {among:8.2f} {among - alone:+8.2f}", flush=True)


if __name__ == "__main__":
    main()
