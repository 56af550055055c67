"""`yogo_jax.upscale`: frames in memory, or a stream of them, through the network."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from yogo_jax.errors import UserError
from yogo_jax.video.frames import Frame
from yogo_jax.video.memory import fitting_tile
from yogo_jax.video.network import Network, load_network, tiled
from yogo_jax.video.options import Options
from yogo_jax.video.render import Counts, Rendering, render
from yogo_jax.video.shots import CUT_THRESHOLD


def upscale(
    frames: np.ndarray | Iterable[np.ndarray],
    *,
    weights: str | Path | None = None,
    scale_only: bool = False,
    rate_only: bool = False,
    rate: int = 2,
    cut_threshold: float | None = CUT_THRESHOLD,
    duplicates: bool = True,
    memory: int | None = None,
    tile: tuple[int, int] | None = None,
    overlap: int | None = None,
    network: Network | None = None,
) -> np.ndarray | Iterator[np.ndarray]:
    """Frames of four times the size and twice the rate, or more.

    Args:
      frames: RGB as an array [N, H, W, 3], or any iterable of [H, W, 3]: uint8, uint16 (0..65535), or
        floating point in [0, 1] (computed on 16 bits).
      weights: a weight file; None is the packaged model.
      scale_only: no new frames, N in all. rate_only: new frames at the input's size.
      rate: output frames for each input frame; other than 2 takes weights of TMNet.
      cut_threshold: of the scene detector; None blends across cuts.
      duplicates: look for repeated frames, which are shown again rather than computed.
      memory: bytes that may be used. tile: (height, width) in input pixels. overlap: of tiles.
      network: in place of weights.

    Returns:
      An array [(N − 1)·rate + 1, 4H, 4W, 3] for an array, an iterator of frames for any other iterable, of the
      input's dtype. The iterator reads as it goes and holds a few windows of frames, however long the video.

    Raises:
      UserError: no frames, a wrong shape or type, or too little memory. From an iterator, while it runs.
    """
    options = Options(
        scale_only=scale_only,
        rate_only=rate_only,
        cut_threshold=cut_threshold,
        duplicates=duplicates,
        memory=memory,
        tile=tile,
        overlap=overlap,
    )
    network = network or load_network(None if weights is None else Path(weights), rate=rate)
    result = _upscaled(iter(frames), network, options)
    return np.stack(list(result)) if hasattr(frames, "ndim") else result


def _upscaled(images: Iterator[np.ndarray], network: Network, options: Options) -> Iterator[np.ndarray]:
    first = next(images, None)
    if first is None:
        raise UserError("there are no frames to upscale")
    first = np.asarray(first)
    _check(first, first)
    tile = fitting_tile(network, first.shape[0], first.shape[1], _integers(first).dtype, options)
    rendering = Rendering.of(network, options)
    for _, image in render(_frames(first, images), tiled(network, tile, options), rendering, Counts()):
        assert image is not None
        yield image if first.dtype.kind == "u" else (image / np.float32(65535)).astype(first.dtype)


def _frames(first: np.ndarray, others: Iterator[np.ndarray]) -> Iterator[Frame]:
    yield Frame(_integers(first), 0, 1)
    for number, image in enumerate(others, 1):
        image = np.asarray(image)
        _check(image, first)
        yield Frame(_integers(image), number, 1)


def _integers(image: np.ndarray) -> np.ndarray:
    if image.dtype.kind == "u":
        return image
    return np.round(np.clip(image.astype(np.float32), 0, 1) * 65535).astype(np.uint16)


def _check(image: np.ndarray, first: np.ndarray) -> None:
    known = image.dtype in (np.uint8, np.uint16) or image.dtype.kind == "f"
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape or not known:
        raise UserError(
            f"a frame is {image.dtype} {list(image.shape)}; it should be [H, W, 3] of uint8, uint16 or floating point"
        )
    if image.shape != first.shape or image.dtype != first.dtype:
        raise UserError(
            f"a frame is {image.dtype} {list(image.shape)}, the first was {first.dtype} {list(first.shape)}"
        )
