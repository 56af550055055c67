"""Windows over clips of every length, and the published figures of Vid4 without a network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax.evaluation.baselines import trilinear
from yogo_jax.evaluation.clips import Clip, find_clips
from yogo_jax.evaluation.evaluate import Runner, evaluate
from yogo_jax.evaluation.models import BASELINES
from yogo_jax.evaluation.protocol import KNOWN, End, Window, first_windows, windows


def numbered(count):
    """A clip whose frames carry their number as their colour."""
    return Clip("c", lambda: ((str(i), np.full((12, 13, 3), i, np.uint8)) for i in range(count)))


@pytest.mark.parametrize(
    ("count", "starts"), [(7, [0]), (8, [0, 1]), (13, [0, 6]), (14, [0, 6, 7]), (41, [0, 6, 12, 18, 24, 30, 34])]
)
def test_windows_start_every_six_frames_and_end_with_the_clip(count, starts):
    *found, end = windows(numbered(count))
    assert end == End("c")
    assert [window.start for window in found if isinstance(window, Window)] == starts


@pytest.mark.parametrize("count", range(7, 40))
def test_every_frame_counts_once_and_is_the_first_windows(count):
    *found, _ = windows(numbered(count))
    counted: list[int] = []
    for window in found:
        assert isinstance(window, Window)
        assert window.frames.shape == (7, 12, 12, 3)
        np.testing.assert_array_equal(window.frames[:, 0, 0, 0], np.arange(window.start, window.start + 7))
        counted += list(window.frames[window.counts, 0, 0, 0])
    assert counted == list(range(count))


@pytest.mark.parametrize(("frames", "count", "starts"), [(6, 2, []), (14, 2, [0, 6]), (7, 2, [0])])
def test_a_look_at_the_first_windows_takes_those_that_are_there(frames, count, starts):
    assert [window.start for window in first_windows(numbered(frames), count)] == starts


def test_a_window_gives_its_even_frames():
    np.testing.assert_array_equal(np.flatnonzero(KNOWN), [0, 2, 4, 6])


def test_trilinear_is_pytorchs():
    torch = pytest.importorskip("torch")
    frames = np.random.default_rng(0).random((2, 4, 9, 11, 3), np.float32)
    channels_first = torch.from_numpy(frames).permute(0, 4, 1, 2, 3)
    expected = torch.nn.functional.interpolate(channels_first, size=(7, 36, 44), mode="trilinear")
    np.testing.assert_allclose(trilinear(jnp.asarray(frames)), expected.permute(0, 2, 3, 4, 1), atol=1e-6)


def vid4_scores(shared, name):
    """Mean luma PSNR and SSIM of each clip, on one device: eight would be given windows of padding."""
    clips = find_clips("vid4", shared / "data" / "vid4").clips
    scores = list(evaluate(Runner(BASELINES[name], jax.devices()[:1]), clips))
    assert sum(len(clip.known) for clip in scores) == 171
    return {clip.name: (np.mean(clip.scores["psnr_y"]), np.mean(clip.scores["ssim_y"])) for clip in scores}


def test_bicubic_gives_the_published_figures(shared):
    scores = vid4_scores(shared, "bicubic")
    assert {name: (round(psnr, 3), round(ssim, 4)) for name, (psnr, ssim) in scores.items()} == {
        "calendar": (20.394, 0.5720),
        "city": (25.165, 0.6028),
        "foliage": (23.471, 0.5666),
        "walk": (26.104, 0.7974),
    }
    psnr, ssim = np.mean(list(scores.values()), axis=0)
    assert (round(psnr, 2), round(ssim, 4)) == (23.78, 0.6347)


def test_trilinear_gives_the_published_figures(shared):
    psnr, ssim = np.mean(list(vid4_scores(shared, "trilinear").values()), axis=0)
    assert (round(psnr, 2), round(ssim, 3)) == (22.90, 0.588)
