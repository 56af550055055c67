"""What the report shows of one frame: every model run on the windows around it, and looked into."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from yogo_jax.errors import UserError
from yogo_jax.evaluation.clips import Clip
from yogo_jax.evaluation.models import Model
from yogo_jax.evaluation.protocol import KNOWN, End, Window, windows
from yogo_jax.imaging import low_resolution, quantise, to_float

SOWN = {"aligned": "dfu", "fused": "fru"}
"""What the recurrent cell sows, by the unit that made it."""


@dataclass(frozen=True)
class Look:
    """What one model makes of one frame.

    Attributes:
        frame: [H, W, 3], uint8.
        profile: [frames, W, 3], uint8: one row of pixels over time.
        structure, detail: [H, W, 3], float; None without auxiliary heads (Figure 9).
        dfu, fru: [2, h, w]: means over the channels of the forward cell's maps, at this frame and at its neighbour
            in the window; None where there is no such unit (Figure 8).
    """

    frame: np.ndarray
    profile: np.ndarray
    structure: np.ndarray | None = None
    detail: np.ndarray | None = None
    dfu: np.ndarray | None = None
    fru: np.ndarray | None = None


@dataclass(frozen=True)
class Exhibit:
    """One frame of a clip, of which every model has made its own.

    Attributes:
        clip, frame: which; `known` says whether its low-resolution form was an input.
        truth: [H, W, 3], uint8; `truth_profile` as in `Look`.
        row: of the image, that the profiles follow.
        crop: (left, top, width, height) of the region where the models differ most.
        overlays: [2, h, w, 3], uint8: low-resolution frames of the two times of `Look.dfu`, each laid over the one
            before it.
        looks: by the model's name.
    """

    clip: str
    frame: int
    known: bool
    truth: np.ndarray
    truth_profile: np.ndarray
    row: int
    crop: tuple[int, int, int, int]
    overlays: np.ndarray
    looks: dict[str, Look] = field(default_factory=dict)


class Examiner:
    """A model compiled to show what is in it: for each size it meets, once."""

    def __init__(self, model: Model):
        self.name = model.name
        self._model = model
        whole = partial(_examine, model.module) if model.module else lambda p, x: {"image": model.apply(p, x)}
        self._run = jax.jit(whole)

    def __call__(self, window: Window) -> dict[str, np.ndarray]:
        """Images and maps [7, …] of a window; those that the model does not have are left out."""
        frames = jnp.asarray(to_float(low_resolution(window.frames))[None, :: self._model.rate])
        return {name: np.asarray(value[0]) for name, value in self._run(self._model.parameters, frames).items()}


def _examine(module: Any, parameters: Any, frames: jax.Array) -> dict[str, jax.Array]:
    output, variables = module.apply({"params": parameters}, frames, auxiliary=True, mutable=["intermediates"])
    found = {name: value for name, value in output._asdict().items() if value is not None}
    # A network with one cell only has that one's maps to show.
    for path, (value,) in sorted(flatten_dict(variables.get("intermediates", {})).items()):
        if path[-1] in SOWN:
            found[SOWN[path[-1]]] = value.mean(-1)  # "forward" comes after "backward"
    return found


def exhibit(clip: Clip, frame: int, models: Sequence[Examiner], profile_windows: int = 3) -> Exhibit:
    """Run `models` on the window of `frame`, and on its neighbours for the temporal profile.

    Raises:
        UserError: the clip cannot be read, or has no such frame.
    """
    shown, here = _windows_around(clip, frame, profile_windows)
    position = frame - shown[here].start
    pair = (position, position + 1) if position + 1 < len(KNOWN) else (position - 1, position)
    truth = shown[here].frames[position]
    made = {model.name: [model(window) for window in shown] for model in models}
    crop = _crop(truth, [quantise(outputs[here]["image"][position]) for outputs in made.values()])
    row = crop[1] + crop[3] // 2

    taken = [np.full(len(KNOWN), True), *(window.counts for window in shown[1:])]

    def profile(images: Sequence[np.ndarray]) -> np.ndarray:
        """One row over time, frames that two windows share taken once."""
        return np.concatenate([image[frames, row] for image, frames in zip(images, taken, strict=True)])

    looks = {}
    for name, outputs in made.items():
        at_hand = outputs[here]
        looks[name] = Look(
            frame=quantise(at_hand["image"][position]),
            profile=profile([quantise(output["image"]) for output in outputs]),
            **{key: at_hand[key][position] for key in ("structure", "detail") if key in at_hand},
            **{key: at_hand[key][list(pair)] for key in ("dfu", "fru") if key in at_hand},
        )
    low = low_resolution(shown[here].frames).astype(np.float32)
    overlays = np.stack([(low[max(time - 1, 0)] + low[time]) / 2 for time in pair]).astype(np.uint8)
    truths = profile([window.frames for window in shown])
    return Exhibit(clip.name, frame, bool(KNOWN[position]), truth, truths, row, crop, overlays, looks)


def _windows_around(clip: Clip, frame: int, count: int) -> tuple[list[Window], int]:
    """`count` windows, if the clip has as many, from the one that counts `frame`; and that one's number in them.

    Near the clip's end the windows before it fill up the number.
    """
    recent: deque[Window] = deque(maxlen=count)
    for event in windows(clip):
        if isinstance(event, End):
            if event.error:
                raise UserError(event.error)
            break
        if len(recent) == count and _counts(recent[0], frame):
            break
        recent.append(event)
    found = [_counts(window, frame) for window in recent]
    if not any(found):
        raise UserError(f"{clip.name}: it has no frame {frame}; the first one is 0")
    return list(recent), found.index(True)


def _counts(window: Window, frame: int) -> bool:
    return 0 <= frame - window.start < len(KNOWN) and bool(window.counts[frame - window.start])


def _crop(truth: np.ndarray, images: Sequence[np.ndarray]) -> tuple[int, int, int, int]:
    """Where the models differ most from each other (one model: from the truth), as a sixth of the frame's width."""
    others = images if len(images) > 1 else [truth, *images]
    spread = np.std([image.astype(np.float32).mean(-1) for image in others], axis=0)
    height, width = spread.shape
    w = min(max(width // 6, 24), width)
    h = min(max(w * 3 // 4, 18), height)
    sums = np.pad(spread.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    totals = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    top, left = np.unravel_index(totals.argmax(), totals.shape)
    return int(left), int(top), w, h
