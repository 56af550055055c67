"""Tiles: weights that sum to one, tiled equal to whole, batches over devices."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax import imaging
from yogo_jax.video.network import load_network
from yogo_jax.video.reader import VideoReader
from yogo_jax.video.tiles import FULL, TiledNetwork, Tiling, choose_tile, to_image

CITY = Path(__file__).resolve().parents[2] / "scripts" / "demo" / "city.mp4"


@pytest.mark.parametrize(
    ("length", "tile", "overlap"), [(100, 40, 16), (97, 32, 31), (33, 32, 8), (20, 32, 8), (1, 16, 8)]
)
@pytest.mark.parametrize("scale", [1, 4])
def test_weights_sum_to_one(length, tile, overlap, scale):
    tiling = Tiling(length, tile, overlap)
    total = np.zeros((length + tile) * scale)
    for start, weights in zip(tiling.starts, tiling.weights(scale), strict=True):
        total[start * scale : start * scale + tile * scale] += weights
    np.testing.assert_allclose(total[: length * scale], 1, atol=1e-6)
    assert tiling.starts[-1] + tile >= length


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("height", "width"), [(50, 70), (20, 90), (9, 7), (1, 1)])
def test_tiled_equals_whole(bicubic, dtype, height, width):
    rng = np.random.default_rng(0)
    white = np.iinfo(dtype).max
    windows = [list(rng.integers(0, white + 1, (4, height, width, 3)).astype(dtype)) for _ in range(3)]
    network = TiledNetwork(bicubic.apply, (32, 32), 16)
    results = dict(network(enumerate(windows)))
    assert list(results) == [0, 1, 2]
    for number, window in enumerate(windows):
        # A frame smaller than a tile is padded by its edge, which is not the mirror of the bicubic.
        missing = [(0, max(0, 32 - length)) for length in (height, width)]
        padded = np.pad(np.stack(window), [(0, 0), *missing, (0, 0)], mode="edge")
        whole = bicubic.apply(jnp.asarray(padded[None], jnp.float32) / white)[0, :, : 4 * height, : 4 * width]
        whole = np.round(np.clip(whole, 0, 1) * white).astype(int)
        tiled = np.stack([to_image(frame, np.dtype(dtype)) for frame in results[number]]).astype(int)
        assert tiled.shape == (7, 4 * height, 4 * width, 3)
        assert np.abs(tiled - whole).max() <= white / 255


def test_a_flat_tile_beside_a_busy_one_with_the_packaged_weights():
    """Registration sees far, and gates average over a tile: sky beside a city is not what it is alone."""
    network = load_network()
    busy = [frame.image for _, frame in zip(range(network.frames), VideoReader(CITY), strict=False)]
    frames = [np.full((48, 224, 3), (150, 190, 230), np.uint8) for _ in busy]
    for frame, image in zip(frames, busy, strict=True):
        frame[:, :112] = image[40:88, 30:142]
    device = jax.devices()[:1]
    [(_, whole)] = TiledNetwork(network.apply, (48, 224), network.overlap, device)([(0, frames)])
    tiles = TiledNetwork(network.apply, (48, 160), network.overlap, device)
    [(_, tiled), (_, right)] = tiles([(0, frames), (1, [frame[:, 64:] for frame in frames])])
    assert np.abs(tiled.astype(int) - whole).max() < FULL / 255  # a grey level
    assert np.abs(right.astype(int) - whole[:, :, 4 * 64 :]).max() > FULL / 255  # at its edge, which is not shown


def test_the_devices_share_the_tiles_of_several_windows():
    assert len(jax.devices()) == 8
    seen = []

    def apply(frames):
        seen.append(frames.shape)
        return imaging.upscale(jnp.repeat(frames, 2, axis=1)[:, :-1])

    windows = [[np.full((40, 40, 3), 10 * i, np.uint8)] * 2 for i in range(5)]
    results = dict(TiledNetwork(apply, (32, 32), 8)(enumerate(windows)))  # 20 tiles in 3 batches
    assert seen == [(1, 2, 32, 32, 3)]  # traced once, for what each device has of a batch
    for i, canvas in results.items():
        assert (to_image(canvas, np.dtype(np.uint8)) == 10 * i).all()
    other = [np.zeros((70, 33, 3), np.uint8)] * 2
    assert len(list(TiledNetwork(apply, (32, 32), 8)([(0, other)]))) == 1
    assert len(seen) == 1  # a clip of another size takes the same program


def test_shrunk_to_the_size_of_the_input(bicubic):
    smooth = np.linspace(0, 255, 48, dtype=np.uint8)[None, :, None] * np.ones((40, 1, 3), np.uint8)
    [(_, canvas)] = TiledNetwork(bicubic.apply, (32, 32), 16, shrink=True)([(0, [smooth] * 4)])
    assert canvas.shape == (7, 40, 48, 3)
    assert np.abs(to_image(canvas[0], np.dtype(np.uint8)).astype(int) - smooth)[:36, :44].max() <= 1


def test_white_stays_white():
    canvas = np.array([0, FULL // 2, FULL, FULL + 3], np.uint16)
    assert list(to_image(canvas, np.dtype(np.uint8))) == [0, 128, 255, 255]
    assert list(to_image(canvas, np.dtype(np.uint16))[[0, 2, 3]]) == [0, 65535, 65535]


def test_chosen_tiles():
    for height, width, most in [
        (270, 480, 40_000),
        (1080, 1920, 30_000),
        (1080, 1920, 10**7),
        (17, 4000, 30_000),
        (1, 1, 300),
    ]:
        tile = choose_tile(height, width, 32, most)
        assert tile[0] * tile[1] <= most
        assert all(side >= length or side >= 64 for side, length in zip(tile, (height, width), strict=True))
    assert choose_tile(100, 120, 32, 10**6) == (112, 128)  # whole frames, padded least
    with pytest.raises(ValueError, match="too few"):
        choose_tile(1080, 1920, 32, 1000)
