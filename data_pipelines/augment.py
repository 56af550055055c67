"""From a stored clip to one training example: crop, turn, reverse, and make the low-resolution frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import grain
import numpy as np

from data_pipelines.degrade import compress
from data_pipelines.source import Clip
from yogo_jax import imaging

_MARGIN = 2  # low-resolution pixels around a patch that its bicubic sees
_SHRINK = 2


@dataclass(frozen=True)
class Augment(grain.transforms.RandomMap):
    """A random patch of a random symmetry, as {"lr": [N, h, w, 3], "hr": [2N−1, 4h, 4w, 3]}, uint8.

    Attributes:
      patch: height and width of the low-resolution patch. A square one takes all eight flips and quarter turns,
        another the four that keep its shape.
      time_reversal: play half of the clips backwards.
      codec_fraction: of the examples, whose low-resolution frames go through H.264 as they would on their way to
        a user.
      codec_crf: lowest and highest constant rate factor, both included.
      shrink_fraction: of the examples, which show twice as much at half the size, where the clip is large enough:
        sharper than footage that codecs and lenses have softened, and half as fast.
    """

    patch: tuple[int, int]
    time_reversal: bool
    codec_fraction: float
    codec_crf: tuple[int, int]
    shrink_fraction: float = 0.0

    def random_map(self, element: Clip, rng: np.random.Generator) -> dict[str, np.ndarray]:
        frames, scale = element.frames, imaging.SCALE
        sides = frames.shape[1:3]
        large = all(side >= _SHRINK * scale * size for side, size in zip(sides, self.patch, strict=True))
        if rng.random() < self.shrink_fraction and large:
            scale *= _SHRINK
        corner = _random_corner([side // scale for side in sides], self.patch, rng)
        if scale > imaging.SCALE:
            around, (rows, columns) = _around(frames, corner, self.patch, 2 * _MARGIN, scale)
            frames, corner = imaging.low_resolution(around, _SHRINK), (rows.start, columns.start)
        if self.time_reversal and rng.random() < 0.5:
            frames = frames[::-1]
        crf = int(rng.integers(self.codec_crf[0], self.codec_crf[1], endpoint=True))
        example = cut(frames, corner, self.patch, crf if rng.random() < self.codec_fraction else None)
        mirrored, upside_down, transposed = rng.random(3) < 0.5
        symmetry = mirrored, upside_down, transposed and self.patch[0] == self.patch[1]
        turned = {name: turn(images, *symmetry) for name, images in example.items()}
        return {name: np.ascontiguousarray(images) for name, images in turned.items()}


def _random_corner(sides: Sequence[int], patch: Sequence[int], rng: np.random.Generator) -> tuple[int, int]:
    """Top and left of a patch somewhere within the sides."""
    top, left = (int(rng.integers(0, side - size + 1)) for side, size in zip(sides, patch, strict=True))
    return top, left


def cut(
    frames: np.ndarray, corner: tuple[int, int], patch: tuple[int, int], crf: int | None = None
) -> dict[str, np.ndarray]:
    """A patch of a clip, and the low-resolution patch exactly as the whole frame's bicubic has it there.

    Args:
      frames: [T, H, W, 3] uint8.
      corner: top and left of the patch, in low-resolution pixels, and so aligned with them.
      patch: its height and width, in low-resolution pixels.
      crf: compress the low-resolution frames; None leaves them.

    Returns:
      {"lr": [(T+1)/2, h, w, 3], "hr": [T, 4h, 4w, 3]}, uint8.
    """
    around, (rows, columns) = _around(frames[::2], corner, patch, _MARGIN)
    lr = imaging.low_resolution(around)
    if crf is not None:
        lr = compress(lr, crf)
    return {"lr": lr[:, rows, columns], "hr": _around(frames, corner, patch, 0)[0]}


def _around(
    frames: np.ndarray, corner: tuple[int, int], patch: tuple[int, int], margin: int, scale: int = imaging.SCALE
) -> tuple[np.ndarray, list[slice]]:
    """The part of frames [T, H, W, 3] within `margin` of a patch, and the patch's rows and columns in it.

    Corner, patch, margin and slices are in low-resolution pixels, of `scale` pixels of the frames each.
    """
    outer = [
        slice(max(0, first - margin), min(side // scale, first + size + margin))
        for first, size, side in zip(corner, patch, frames.shape[1:3], strict=True)
    ]
    rows, columns = (slice(scale * part.start, scale * part.stop) for part in outer)
    inner = [
        slice(first - part.start, first - part.start + size)
        for first, size, part in zip(corner, patch, outer, strict=True)
    ]
    return frames[:, rows, columns], inner


def turn(images: np.ndarray, mirrored: bool, upside_down: bool, transposed: bool) -> np.ndarray:
    """One of a square's eight symmetries of […, H, W, 3]; without `transposed`, one of a rectangle's four."""
    images = images[..., ::-1, :, :] if upside_down else images
    images = images[..., ::-1, :] if mirrored else images
    return images.swapaxes(-3, -2) if transposed else images
