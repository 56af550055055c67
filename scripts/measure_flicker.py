"""Whether made frames are softer than known ones, so that a video flickers: by clip, beside the linear blend.

    python scripts/measure_flicker.py FOLDER_OF_CLIPS [--weights PATH] [--windows N]

A frame's sharpness is the mean size of its luma's Laplacian over that of the true frame. Printed are its means over
known and over made frames, and the alternation: by how much made frames are less sharp than known ones, in percent.
"""

import argparse
from pathlib import Path

import jax
import numpy as np
import scipy.ndimage

from yogo_jax import imaging
from yogo_jax.evaluation.clips import find_clips
from yogo_jax.evaluation.models import BASELINES, Model, network
from yogo_jax.evaluation.protocol import KNOWN, Window, first_windows


def sharpness(frames: np.ndarray) -> np.ndarray:
    """Mean absolute Laplacian of the luma of [T, H, W, 3], uint8 or in [0, 1]: [T]."""
    return np.array([np.abs(scipy.ndimage.laplace(imaging.rgb_to_y(frame))).mean() for frame in frames])


def relative_sharpness(model: Model, clips: list[list[Window]]) -> list[np.ndarray]:
    """Sharpness of the model's frames over the true ones': for each clip [windows, 7]."""
    apply = jax.jit(lambda frames: model.apply(model.parameters, frames))
    found = []
    for clip in clips:
        made = [imaging.quantise(apply(imaging.low_resolution(w.frames[::2])[None] / np.float32(255))[0]) for w in clip]
        found.append(np.stack([sharpness(m) / sharpness(w.frames) for m, w in zip(made, clip, strict=True)]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--weights", type=Path, help="default: the packaged model")
    parser.add_argument("--windows", type=int, default=2, help="of seven frames, of each clip (default 2)")
    args = parser.parse_args()
    clips = [first_windows(clip, args.windows) for clip in find_clips("folder", args.clips).clips]
    clips = [clip for clip in clips if clip]
    models = [network(args.weights), BASELINES["blend"]]
    print(f"{'':32} {'known':>7} {'made':>7} {'alternation':>12}")
    for model in models:
        for clip, ratios in zip(clips, relative_sharpness(model, clips), strict=True):
            known, made = ratios[:, KNOWN].mean(), ratios[:, ~KNOWN].mean()
            name = f"{clip[0].clip}, {model.name}"
            print(f"{name:32.32} {known:7.3f} {made:7.3f} {100 * (1 - made / known):10.1f} %", flush=True)


if __name__ == "__main__":
    main()
