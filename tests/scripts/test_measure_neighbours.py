"""What a network draws from neighbouring frames, of one that draws nothing and of one that draws everything."""

import numpy as np
import pytest

from scripts.measure_neighbours import with_and_without
from yogo_jax.evaluation.baselines import blend
from yogo_jax.evaluation.protocol import Window


@pytest.fixture(scope="module")
def clip():
    frames = np.random.default_rng(0).integers(0, 256, (7, 48, 64, 3), np.uint8)
    return [Window("noise", 0, frames, np.ones(7, bool))]


def test_a_baseline_of_single_frames_draws_nothing(clip):
    bicubic, alone, among = with_and_without(blend, clip)
    assert bicubic == pytest.approx(alone, abs=1e-4)
    assert alone == pytest.approx(among, abs=1e-4)


def test_what_comes_of_other_frames_is_told_from_what_comes_of_one(clip):
    def first_frame_everywhere(frames):
        return blend(frames)[:, :1].repeat(7, axis=1)

    bicubic, alone, among = with_and_without(first_frame_everywhere, clip)
    assert bicubic == pytest.approx(alone, abs=1e-4)
    assert among < alone - 0.2
