"""Registered motion: its warp against SciPy, what it finds against the truth and OpenCV, any size and dtype."""

import dataclasses

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from yogo_jax.model import YOGOConfig
from yogo_jax.model.registration import Registration, warp

TINY = YOGOConfig(filters=8, groups=2, fe_blocks=0, pyramid_levels=2)


@pytest.mark.parametrize("channels", [3, 5])
@pytest.mark.parametrize("size", [(7, 9), (1, 9), (7, 1), (1, 1)])
def test_warp_samples_where_the_flow_leads_and_repeats_edges(size, channels):
    rng = np.random.default_rng(0)
    x, flow = rng.random((2, *size, channels), np.float32), rng.normal(0, 5, (2, *size, 2)).astype(np.float32)
    at = np.indices(size)[:, None] + np.moveaxis(flow, -1, 0)
    expected = [
        [scipy.ndimage.map_coordinates(x[i, ..., c], at[:, i], order=1, mode="nearest") for c in range(channels)]
        for i in range(2)
    ]
    np.testing.assert_allclose(np.moveaxis(warp(jnp.asarray(x), jnp.asarray(flow)), -1, 1), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [3, 5])
def test_one_image_is_sampled_along_several_flows(channels):
    rng = np.random.default_rng(0)
    x, flow = rng.random((1, 6, 5, channels), np.float32), rng.normal(0, 2, (3, 6, 5, 2)).astype(np.float32)
    together = warp(jnp.asarray(x), jnp.asarray(flow))
    np.testing.assert_array_equal(together, warp(jnp.asarray(np.repeat(x, 3, axis=0)), jnp.asarray(flow)))


def test_an_exported_warp_takes_any_size():
    height, width = jax.export.symbolic_shape("h, w")
    shapes = (jax.ShapeDtypeStruct((2, height, width, c), jnp.float32) for c in (3, 2))
    exported = jax.export.export(jax.jit(warp), platforms=("cpu",))(*shapes)
    for size in ((7, 9), (1, 9), (7, 1), (1, 1)):
        rng = np.random.default_rng(0)
        x, flow = (rng.normal(0, 2, (2, *size, c)).astype(np.float32) for c in (3, 2))
        np.testing.assert_allclose(exported.call(x, flow), warp(jnp.asarray(x), jnp.asarray(flow)), atol=1e-6)


def test_a_flow_that_is_no_number_breaks_its_own_pixel_alone():
    x = np.random.default_rng(0).random((1, 4, 5, 3), np.float32)
    flow = np.zeros((1, 4, 5, 2), np.float32)
    flow[0, 1, 2] = np.nan, np.inf
    y = np.array(warp(jnp.asarray(x), jnp.asarray(flow)))
    assert np.isnan(y[0, 1, 2]).all()
    y[0, 1, 2] = x[0, 1, 2]
    np.testing.assert_array_equal(y, x)


def scene(height, width):
    """A texture with detail of all sizes, `[height, width, 3]` in [0, 1]."""
    noise = np.random.default_rng(0).random((height, width, 3))
    texture = sum(scipy.ndimage.gaussian_filter(noise, (s, s, 0), mode="wrap") * s for s in (1, 2, 4, 8))
    return ((texture - texture.min()) / np.ptp(texture)).astype(np.float32)


def moving(texture, step, count):
    """`[1, count, …]`: each frame shows the texture (dy, dx) farther, in fractions of pixels."""
    shifted = [scipy.ndimage.shift(texture, (*(t * x for x in step), 0), order=3, mode="wrap") for t in range(count)]
    return jnp.asarray(np.stack(shifted), jnp.float32)[None]


@pytest.mark.parametrize("step", [(0.3, -0.7), (2.4, -4.6), (0, 6)])
def test_registration_finds_motion_to_a_twentieth_of_a_pixel(step):
    x = moving(scene(64, 80), step, 3)
    registration = Registration(TINY)
    variables = jax.jit(registration.init)(jax.random.key(0), x)
    motion = jax.device_get(jax.jit(registration.apply)(variables, x))
    assert motion.to_next.shape == motion.to_last.shape == (1, 5, 64, 80, 2)
    np.testing.assert_allclose(motion.weight, 0.5)
    inside = np.s_[0, :, 20:-20, 20:-20]
    half = np.array(step) / 2  # of the way between two known frames
    for flow in (motion.to_next[inside][:4], -motion.to_last[inside][1:]):
        assert np.abs(flow - half).mean() < 0.05
    assert not motion.to_next[:, 4].any()
    assert not motion.to_last[:, 0].any()


def test_registration_follows_what_moves_differently_as_well_as_opencv_does():
    """A textured disc over another texture, both moving; endpoint errors of known frames, in pixels."""
    back, disc = scene(64, 64), scene(64, 64)[::-1, ::-1]
    rows, columns = np.indices((64, 64))
    frames, truths = [], []
    for t in range(2):
        inside = ((rows - 32 - t) ** 2 + (columns - 30 - 3 * t) ** 2 < 16**2)[..., None]
        frames.append(np.where(inside, np.roll(disc, (t, 3 * t), (0, 1)), np.roll(back, (0, -t), (0, 1))))
        truths.append(np.where(inside, (1, 3), (0, -1)))
    x = jnp.asarray(np.stack(frames))[None]
    registration = Registration(TINY)
    motion = jax.jit(registration.apply)(jax.jit(registration.init)(jax.random.key(0), x), x)
    grey = [np.round(255 * frame.mean(axis=-1)).astype(np.uint8) for frame in frames]
    peer = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)[..., ::-1]
    ours, theirs = (
        np.linalg.norm(flow - truths[0], axis=-1)[8:-8, 8:-8].mean() for flow in (2 * motion.to_next[0, 0], peer)
    )
    assert ours < max(1.2 * theirs, 0.3), (ours, theirs)


@pytest.mark.parametrize(("dtype", "size"), [("float32", (1, 1)), ("bfloat16", (3, 6))])
@pytest.mark.parametrize("skip", ["interpolate", "reconstruct"])
def test_a_network_with_motion_takes_any_size_and_knows_of_still_frames(tiny, dtype, size, skip):
    alone = {"frb_forward": 0, "hfbs": 0, "cell_order": "fru", "fusion": "direct", "recon": "light"}  # little else
    config = dataclasses.replace(tiny, **alone, pyramid_levels=2, image_skip=skip, motion="registered", dtype=dtype)
    model = config.build()
    x = jnp.tile(jax.random.uniform(jax.random.key(1), (1, 1, *size, 3)), (1, 2, 1, 1, 1))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    image = jax.jit(model.apply)(variables, x).image
    assert jnp.isfinite(image).all()
    assert image.dtype == jnp.float32
    assert image.shape == (1, 3, 4 * size[0], 4 * size[1], 3)
    np.testing.assert_allclose(image[:, 1:], image[:, :-1], atol=0.01)
