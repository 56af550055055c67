"""Back-projection: what it reconstructs is nearer to the truth than bicubic, and explains the frames."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from skimage.metrics import peak_signal_noise_ratio

from yogo_jax import imaging
from yogo_jax.model.back_projection import reconstruct, refine
from yogo_jax.model.registration import Motion


@pytest.fixture(scope="module")
def truth():
    """`[5, 128, 128, 3]`: a sharp texture that moves by fractions of the low resolution's pixels."""
    noise = np.random.default_rng(0).random((160, 160, 3))
    texture = scipy.ndimage.gaussian_filter(noise, (1.2, 1.2, 0), mode="wrap") - 0.5
    texture = np.clip(0.5 + 3 * texture, 0, 1)
    return np.stack([texture[16 + 2 * t :][:128, 24 - 3 * t :][:, :128] for t in range(5)]).astype(np.float32)


def motion_of(step, size=32):
    """That of three known frames, (dy, dx) in low-resolution pixels from each to the next known one."""
    flow = jnp.broadcast_to(jnp.asarray(step, jnp.float32) / 2, (1, 5, size, size, 2))
    return Motion(flow.at[:, -1].set(0), (-flow).at[:, 0].set(0), jnp.full((1, 2, size, size, 1), 0.5))


def quality(image, truth):
    return peak_signal_noise_ratio(truth[16:-16, 16:-16], np.asarray(image)[16:-16, 16:-16], data_range=1)


def test_neighbours_add_what_one_frame_does_not_show(truth):
    truth = truth[:3]
    x = imaging.downscale(truth)[None]
    right, none = (jax.jit(reconstruct)(x, motion_of(step))[0, 1] for step in [(-0.5, 0.75), (0, 0)])
    alone = jax.jit(reconstruct)(x[:, 1:2], Motion(*(jnp.zeros((1, 1, 32, 32, 2)),) * 2, jnp.zeros((1, 0, 32, 32, 1))))
    bicubic = quality(imaging.upscale(x)[0, 1], truth[1])
    assert quality(alone[0, 0], truth[1]) > bicubic + 0.1
    assert quality(right, truth[1]) > quality(alone[0, 0], truth[1]) + 0.5
    assert quality(none, truth[1]) > quality(alone[0, 0], truth[1]) - 0.3  # neighbours that disagree hardly count


def test_the_reconstruction_shrinks_to_the_frame_it_is_of(truth):
    x = jnp.asarray(imaging.downscale(truth[:3]))[None]
    known = jax.jit(reconstruct)(x, motion_of((-0.5, 0.75)))
    before, after = (np.abs(imaging.downscale(y) - x).mean() for y in (imaging.upscale(x), known))
    assert after < before / 2


def test_ends_take_nothing_from_the_other_end(truth):
    x = jnp.asarray(imaging.downscale(truth[:3]))[None]
    changed = x.at[:, -1].set(0.5)
    first, again = (jax.jit(reconstruct)(y, motion_of((-0.5, 0.75)))[0, 0] for y in (x, changed))
    np.testing.assert_array_equal(first, again)


def test_refining_brings_known_and_made_frames_nearer_to_the_truth(truth):
    """Known frames a little blurred, made ones the blend of those next to them, all moving."""
    known = scipy.ndimage.gaussian_filter(truth[::2], (0, 1, 1, 0))
    images = np.stack([known[0], (known[0] + known[1]) / 2, known[1], (known[1] + known[2]) / 2, known[2]])
    frames = jnp.asarray(imaging.downscale(truth[::2]))[None]

    def gains(step):
        refined = jax.jit(refine)(jnp.asarray(images)[None], frames, motion_of(step))[0]
        return np.array([quality(refined[t], truth[t]) - quality(images[t], truth[t]) for t in range(5)])

    right, wrong = gains((-1, 1.5)), gains((1, -1.5))
    assert right.min() > 0.3, right
    assert (right - wrong).min() > 0.2, (right, wrong)


def test_refining_leaves_alone_what_explains_the_frames(truth):
    still = jnp.broadcast_to(jnp.asarray(truth[:1]), (1, 5, 128, 128, 3))
    known = jnp.broadcast_to(jnp.asarray(imaging.downscale(truth[:1])), (1, 3, 32, 32, 3))
    refined = jax.jit(refine)(still, known, motion_of((0, 0)))
    np.testing.assert_allclose(refined, still, atol=1e-4)
