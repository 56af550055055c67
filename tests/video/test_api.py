"""`yogo_jax.upscale` on arrays and on iterators."""

import numpy as np
import pytest

import yogo_jax
from yogo_jax.errors import UserError

SETTINGS = {"tile": (48, 64), "overlap": 8}


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)])
def test_arrays_keep_their_type(bicubic, pictures, dtype, white):
    frames = (np.stack(pictures(5)) / 255 * white).astype(dtype)
    result = yogo_jax.upscale(frames, network=bicubic, **SETTINGS)
    assert isinstance(result, np.ndarray)
    assert result.shape == (9, 192, 256, 3)
    assert result.dtype == dtype
    expected = np.asarray(bicubic.apply((frames[None, :4] / white).astype(np.float32)))[0].clip(0, 1)
    assert np.abs(result[:7, :-8, :-8] / white - expected[:, :-8, :-8]).max() < 1 / 250


def test_an_endless_stream_is_read_as_it_goes(bicubic, pictures):
    read = 0

    def camera():
        nonlocal read
        while True:
            for image in pictures(30):
                read += 1
                yield image

    result = yogo_jax.upscale(camera(), network=bicubic, scale_only=True, **SETTINGS)
    assert [next(result).shape for _ in range(40)] == [(192, 256, 3)] * 40
    assert read < 80  # eight devices take eight windows at once


def test_rate_only_keeps_the_known_frames(bicubic, pictures):
    frames = np.stack(pictures(4))
    result = yogo_jax.upscale(frames, network=bicubic, rate_only=True, **SETTINGS)
    np.testing.assert_array_equal(result[::2], frames)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), "no frames"),
        (np.zeros((2, 8, 8), np.uint8), r"should be \[H, W, 3\]"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"should be \[H, W, 3\]"),
        (np.zeros((2, 8, 8, 3), np.int32), "uint8, uint16 or floating point"),
        ([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)], r"the first was uint8 \[8, 8, 3\]"),
    ],
)
def test_wrong_frames(bicubic, frames, message):
    with pytest.raises(UserError, match=message):
        list(yogo_jax.upscale(frames, network=bicubic, **SETTINGS))
