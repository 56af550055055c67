"""Sharpness of known and of made frames, of a clip where theory says what a blend loses."""

import numpy as np
import pytest

from scripts.measure_flicker import relative_sharpness
from yogo_jax.evaluation.models import BASELINES
from yogo_jax.evaluation.protocol import KNOWN, Window


def test_the_mean_of_two_frames_of_noise_is_by_the_root_of_two_less_sharp():
    noise = np.random.default_rng(0).normal(128, 40, (7, 48, 48, 3)).clip(0, 255).astype(np.uint8)
    frames = noise.repeat(4, axis=1).repeat(4, axis=2)  # what low resolution keeps
    [ratios] = relative_sharpness(BASELINES["blend"], [[Window("noise", 0, frames, np.ones(7, bool))]])
    assert ratios.shape == (1, 7)
    assert ratios[0, ~KNOWN].mean() / ratios[0, KNOWN].mean() == pytest.approx(0.5**0.5, abs=0.03)
