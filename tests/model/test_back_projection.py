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
    """`[3, 128, 128, 3]`: a sharp texture that moves by fractions of the low resolution's pixels."""
    noise = np.random.default_rng(0).random((160, 160, 3))
    texture = scipy.ndimage.gaussian_filter(noise, (1.2, 1.2, 0), mode="wrap") - 0.5
    texture = np.clip(0.5 + 3 * texture, 0, 1)
    return np.stack([texture[16 + 2 * t :][:128, 16 - 3 * t + 8 :][:, :128] for t in range(3)]).astype(np.float32)


def motion_of(step, size=32):
    """That of three known frames, (dy, dx) in low-resolution pixels from each to the next known one."""
    flow = jnp.broadcast_to(jnp.asarray(step, jnp.float32) / 2, (1, 5, size, size, 2))
    return Motion(flow.at[:, -1].set(0), (-flow).at[:, 0].set(0), jnp.full((1, 2, size, size, 1), 0.5))


def quality(image, truth):
    return peak_signal_noise_ratio(truth[16:-16, 16:-16], np.asarray(image)[16:-16, 16:-16], data_range=1)


def test_neighbours_add_what_one_frame_does_not_show(truth):
    x = imaging.downscale(truth)[None]
    right, none = (jax.jit(reconstruct)(x, motion_of(step))[0, 1] for step in [(-0.5, 0.75), (0, 0)])
    alone = jax.jit(reconstruct)(x[:, 1:2], Motion(*(jnp.zeros((1, 1, 32, 32, 2)),) * 2, jnp.zeros((1, 0, 32, 32, 1))))
    bicubic = quality(imaging.upscale(x)[0, 1], truth[1])
    assert quality(alone[0, 0], truth[1]) > bicubic + 0.1
    assert quality(right, truth[1]) > quality(alone[0, 0], truth[1]) + 0.5
    assert quality(none, truth[1]) > quality(alone[0, 0], truth[1]) - 0.3  # neighbours that disagree hardly count


def test_the_reconstruction_shrinks_to_the_frame_it_is_of(truth):
    x = jnp.asarray(imaging.downscale(truth))[None]
    known = jax.jit(reconstruct)(x, motion_of((-0.5, 0.75)))
    before, after = (np.abs(imaging.downscale(y) - x).mean() for y in (imaging.upscale(x), known))
    assert after < before / 2


def test_ends_take_nothing_from_the_other_end(truth):
    x = jnp.asarray(imaging.downscale(truth))[None]
    changed = x.at[:, -1].set(0.5)
    first, again = (jax.jit(reconstruct)(y, motion_of((-0.5, 0.75)))[0, 0] for y in (x, changed))
    np.testing.assert_array_equal(first, again)


def test_refining_brings_known_and_made_frames_nearer_to_the_truth(truth):
    x = jnp.asarray(imaging.downscale(truth))[None]
    images = jnp.asarray(scipy.ndimage.gaussian_filter(np.repeat(truth, 2, axis=0)[:-1], (0, 1, 1, 0)))[None]
    motion = motion_of((0, 0))  # frame 1 again between it and frame 2, and so on: blurred, where nothing moves
    still = jnp.broadcast_to(x[:, :1], x.shape)
    blurred = jnp.broadcast_to(images[:, :1], images.shape)
    refined = jax.jit(refine)(blurred, still, motion)[0]
    for t in range(5):
        assert quality(refined[t], truth[0]) > quality(blurred[0, t], truth[0]) + 0.5


def test_refining_leaves_alone_what_explains_the_frames(truth):
    still = jnp.broadcast_to(jnp.asarray(truth[:1]), (1, 5, 128, 128, 3))
    known = jnp.broadcast_to(jnp.asarray(imaging.downscale(truth[:1])), (1, 3, 32, 32, 3))
    refined = jax.jit(refine)(still, known, motion_of((0, 0)))
    np.testing.assert_allclose(refined, still, atol=1e-4)
