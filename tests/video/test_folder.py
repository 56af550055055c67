"""Folders of images: what is read, what is refused, what pictures cannot carry."""

import os
from fractions import Fraction

import av
import numpy as np
import PIL.Image
import pytest

from yogo_jax.errors import UserError
from yogo_jax.video.folder import FolderReader
from yogo_jax.video.options import Options
from yogo_jax.video.pipeline import upscale_file


@pytest.fixture
def images(tmp_path):
    """A folder of one good image, 6 wide and 4 high."""
    folder = tmp_path / "images"
    folder.mkdir()
    PIL.Image.fromarray(np.full((4, 6, 3), 90, np.uint8)).save(folder / "0.png")
    return folder


def refused(folder) -> str:
    with pytest.raises(UserError) as error:
        list(FolderReader(folder, 25))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp", "webp", "ppm"])
def test_the_kinds_of_images(images, ending):
    PIL.Image.fromarray(np.full((4, 6, 3), 200, np.uint8)).save(images / f"1.{ending}")
    frames = list(FolderReader(images, 25))
    assert [round(frame.image.mean()) for frame in frames] == [90, pytest.approx(200, abs=2)]


def test_what_is_not_an_image_is_refused(images):
    os.mkfifo(images / "1.png")
    assert "1.png is a pipe" in refused(images)
    (images / "1.png").unlink()
    (images / "1.jpg").write_text("ffconcat version 1.0\nfile 0.png\n")
    assert "1.jpg cannot be read as an image" in refused(images)
    (images / "1.jpg").unlink()
    PIL.Image.fromarray(np.full((4, 6, 3), 200, np.uint8)).save(images / "1.png")
    (images / "%d.png").write_bytes(b"")
    assert "%d.png is empty" in refused(images)


def test_a_name_is_no_pattern(images):
    PIL.Image.fromarray(np.full((4, 6, 3), 200, np.uint8)).save(images / "%d.png")
    levels = [round(frame.image.mean()) for frame in FolderReader(images, 25)]
    assert sorted(levels) == [90, 200]


def test_an_image_of_too_many_pixels_is_not_decoded(images):
    PIL.Image.new("1", (16400, 16400)).save(images / "0.png")
    assert "0.png cannot be read as an image" in refused(images)


@pytest.mark.parametrize(("degrees", "mirrored"), [(90, False), (180, False), (270, False), (0, True), (90, True)])
def test_pictures_are_turned_as_players_turn_the_video(tmp_path, make_video, nearest, degrees, mirrored):
    image = np.random.default_rng(0).integers(0, 255, (2, 3, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)

    def turned(stream):
        stream.set_display_rotation(degrees, hflip=mirrored)
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    source = make_video(tmp_path / "in.mov", [image], codec="png", pix_fmt="rgb24", configure=turned)
    summary = upscale_file(source, tmp_path / "out", nearest, Options(tile=(32, 48), overlap=8))
    with av.open(str(source)) as container:
        frame = next(container.decode(video=0))
    assert mirrored or frame.rotation % 360 == degrees  # anticlockwise
    expected = np.rot90(image.repeat(4, 0).repeat(4, 1), degrees // 90)
    expected = expected[:, ::-1] if mirrored else expected
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "out" / "000000.png")), expected)
    assert [line for line in summary.warnings if "pixel aspect ratio 4/3" in line]


def test_a_folder_has_no_streams_to_drop(images, nearest):
    with pytest.raises(UserError, match="has no streams to --drop"):
        upscale_file(images, images.parent / "out.mp4", nearest, Options(drop=frozenset({1})))
