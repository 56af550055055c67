"""Colour bars whose YUV is computed here from the matrices of BT.601, BT.709 and BT.2020."""

import av
import numpy as np
import pytest

from yogo_jax.video.colour import Colour, FromRGB, ToRGB, colour_of
from yogo_jax.video.options import Options
from yogo_jax.video.pipeline import upscale_file

BARS = np.array(
    [[191] * 3, [191, 191, 0], [0, 191, 191], [0, 191, 0], [191, 0, 191], [191, 0, 0], [0, 0, 191], [255] * 3, [0] * 3]
)
LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def bars(matrix: int, full: bool, deep: bool) -> tuple[np.ndarray, ...]:
    red, blue = LUMA[matrix]
    rgb = BARS / 255
    y = red * rgb[:, 0] + (1 - red - blue) * rgb[:, 1] + blue * rgb[:, 2]
    cb, cr = (rgb[:, 2] - y) / 2 / (1 - blue), (rgb[:, 0] - y) / 2 / (1 - red)
    unit, white = (4, 1023) if deep else (1, 255)
    if full:
        planes = y * white, cb * white + 128 * unit, cr * white + 128 * unit
    else:
        planes = (219 * y + 16) * unit, (224 * cb + 128) * unit, (224 * cr + 128) * unit
    return tuple(np.clip(np.round(plane), 0, white).repeat(16)[None].repeat(32, 0) for plane in planes)


def frame_of(planes, deep: bool) -> av.VideoFrame:
    frame = av.VideoFrame(planes[0].shape[1], 32, "yuv444p10le" if deep else "yuv444p")
    dtype = np.dtype(np.uint16 if deep else np.uint8)
    for plane, values in zip(frame.planes, planes, strict=True):
        row = np.zeros((32, plane.line_size // dtype.itemsize), dtype)
        row[:, : values.shape[1]] = values
        plane.update(row.tobytes())
    return frame


@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_bars_there_and_back(matrix, full, deep):
    planes = bars(matrix, full, deep)
    frame = frame_of(planes, deep)
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    colour = colour_of(frame)
    assert (colour.matrix, colour.full_range, colour.deep) == (matrix, full, deep)
    rgb = ToRGB(colour, frame.width, frame.height)(frame)
    assert rgb.dtype == (np.uint16 if deep else np.uint8)
    assert np.abs(rgb / (257 if deep else 1) - BARS.repeat(16, 0)).max() <= 1
    back = FromRGB(colour, "yuv444p10le" if deep else "yuv444p")(rgb)
    assert (back.colorspace, back.color_range) == (matrix, 2 if full else 1)
    for plane, expected in zip(back.planes, planes, strict=True):
        values = np.frombuffer(bytes(plane), np.uint16 if deep else np.uint8).reshape(32, -1)
        assert np.abs(values[:, : expected.shape[1]].astype(int) - expected).max() <= 2


@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize("full", [False, True])
def test_bars_through_a_whole_run(tmp_path, nearest, probe, matrix, full):
    """A file of bars comes out with the same numbers, four times as large, and the same tags."""
    planes, source = bars(matrix, full, deep=False), tmp_path / "bars.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = planes[0].shape[1], 32, "yuv444p"
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, 2 if full else 1
        context.color_primaries, context.color_trc = matrix, 6
        for _ in range(3):
            frame = frame_of(planes, deep=False)
            frame.colorspace, frame.color_range = matrix, 2 if full else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    options = Options(pix_fmt="yuv444p", crf=0, preset="ultrafast", tile=(32, 160), overlap=0)
    upscale_file(source, tmp_path / "out.mp4", nearest, options)
    after = probe(tmp_path / "out.mp4").frames
    assert len(after) == 5
    for frame in after:
        assert (frame.colorspace, frame.color_range) == (matrix, 2 if full else 1)
        assert (frame.color_primaries, frame.color_trc) == (matrix, 6)
        for plane, expected in zip(frame.planes, planes, strict=True):
            values = np.frombuffer(bytes(plane), np.uint8).reshape(128, -1)[:, : 4 * expected.shape[1]].astype(int)
            assert np.abs(values - expected.repeat(4, 0).repeat(4, 1)).max() <= 2


def test_ten_bits_are_kept():
    ramp = np.arange(64, 940, 2)[None].repeat(32, 0)
    frame = frame_of((ramp, np.full_like(ramp, 512), np.full_like(ramp, 512)), deep=True)
    frame.colorspace, frame.color_range = 1, 1
    rgb = ToRGB(colour_of(frame), frame.width, 32)(frame)
    back = FromRGB(colour_of(frame), "yuv420p10le")(rgb)
    values = np.frombuffer(bytes(back.planes[0]), np.uint16).reshape(32, -1)[:, : ramp.shape[1]]
    assert np.abs(values.astype(int) - ramp).max() <= 1
    assert len(np.unique(values)) == ramp.shape[1]


@pytest.mark.parametrize(
    ("width", "height", "matrix"), [(720, 576, 5), (720, 480, 6), (640, 360, 6), (1280, 720, 1), (1920, 1080, 1)]
)
def test_what_untagged_video_means_by_its_size(width, height, matrix):
    assert colour_of(av.VideoFrame(width, height, "yuv420p")) == Colour(matrix, False, matrix, 6 if matrix > 1 else 1)
