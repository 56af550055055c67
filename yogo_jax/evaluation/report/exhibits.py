"""What the report shows of one frame: every model run on the windows around it, and looked into."""

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


def exhibit(clip: Clip, frame: int, models: Sequence[Model], profile_windows: int = 3) -> Exhibit:
    """Run `models` on the window of `frame`, and on the next ones for the temporal profile.

    Raises:
        UserError: the clip cannot be read, or has no such frame.
    """
    shown = _windows_from(clip, frame, profile_windows)
    position = frame - shown[0].start
    pair = (position, position + 1) if position + 1 < len(KNOWN) else (position - 1, position)
    truth = shown[0].frames[position]
    made = {model.name: [_run(model, window) for window in shown] for model in models}
    crop = _crop(truth, [quantise(outputs[0]["image"][position]) for outputs in made.values()])
    row = crop[1] + crop[3] // 2

    def profile(images: Sequence[np.ndarray]) -> np.ndarray:
        """One row over time: each window gives the frames that it counts."""
        return np.concatenate(
            [image[i == 0 or w.counts, row] for i, (image, w) in enumerate(zip(images, shown, strict=True))]
        )

    looks = {}
    for name, outputs in made.items():
        first = outputs[0]
        looks[name] = Look(
            frame=quantise(first["image"][position]),
            profile=profile([quantise(output["image"]) for output in outputs]),
            **{key: first[key][position] for key in ("structure", "detail") if key in first},
            **{key: first[key][list(pair)] for key in ("dfu", "fru") if key in first},
        )
    low = low_resolution(shown[0].frames).astype(np.float32)
    overlays = np.stack([(low[max(time - 1, 0)] + low[time]) / 2 for time in pair]).astype(np.uint8)
    truths = profile([window.frames for window in shown])
    return Exhibit(clip.name, frame, bool(KNOWN[position]), truth, truths, row, crop, overlays, looks)


def _windows_from(clip: Clip, frame: int, count: int) -> list[Window]:
    """The window that counts `frame`, and up to count − 1 after it."""
    found: list[Window] = []
    for event in windows(clip):
        if isinstance(event, End):
            if event.error:
                raise UserError(event.error)
            break
        if found or event.counts[max(frame - event.start, 0) : frame - event.start + 1].any():
            found.append(event)
        if len(found) == count:
            break
    if not found:
        raise UserError(f"{clip.name}: it has no frame {frame}; the first one is 0")
    return found


def _run(model: Model, window: Window) -> dict[str, np.ndarray]:
    """Images and maps [7, …] of a window; those that the model does not have are left out."""
    frames = jnp.asarray(to_float(low_resolution(window.frames))[None, :: model.rate])
    return {name: np.asarray(value[0]) for name, value in _look(model)(model.parameters, frames).items()}


def _look(model: Model) -> Any:
    return jax.jit(partial(_examine, model.module) if model.module else lambda p, x: {"image": model.apply(p, x)})


def _examine(module: Any, parameters: Any, frames: jax.Array) -> dict[str, jax.Array]:
    output, variables = module.apply({"params": parameters}, frames, auxiliary=True, mutable=["intermediates"])
    found = {name: value for name, value in output._asdict().items() if value is not None}
    # A network with one cell only has that one's maps to show.
    for path, (value,) in sorted(flatten_dict(variables.get("intermediates", {})).items()):
        if path[-1] in SOWN:
            found[SOWN[path[-1]]] = value.mean(-1)  # "forward" comes after "backward"
    return found


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
