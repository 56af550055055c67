"""Matched motion: its warp against SciPy, what it finds untrained, any size and dtype."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from yogo_jax.model import YOGOConfig
from yogo_jax.model.matching import Matching, warp

TINY = YOGOConfig(filters=8, groups=2, fe_blocks=0, pyramid_levels=2)


def test_warp_samples_where_the_flow_leads_and_repeats_edges():
    rng = np.random.default_rng(0)
    x, flow = rng.random((2, 7, 9, 3), np.float32), rng.normal(0, 5, (2, 7, 9, 2)).astype(np.float32)
    at = np.indices((7, 9))[:, None] + np.moveaxis(flow, -1, 0)
    expected = [
        [scipy.ndimage.map_coordinates(x[i, ..., c], at[:, i], order=1, mode="nearest") for c in range(3)]
        for i in range(2)
    ]
    np.testing.assert_allclose(np.moveaxis(warp(jnp.asarray(x), jnp.asarray(flow)), -1, 1), expected, atol=1e-5)


def test_untrained_matching_finds_motion():
    rng = np.random.default_rng(0)
    texture = scipy.ndimage.gaussian_filter(rng.random((64, 64, 3)), (1.5, 1.5, 0), mode="wrap") * 4
    x = jnp.asarray(np.stack([np.roll(texture, (2 * t, -4 * t), (0, 1)) for t in range(3)]), jnp.float32)[None]
    matching = Matching(TINY)
    known = jnp.zeros((1, 3, 64, 64, TINY.filters))
    variables = jax.jit(matching.init)(jax.random.key(0), x, known)
    motion = jax.device_get(jax.jit(matching.apply)(variables, x, known))
    assert motion.to_next.shape == motion.to_last.shape == (1, 5, 64, 64, 2)
    np.testing.assert_allclose(motion.weight, 0.5)
    inside = np.s_[0, :, 16:-16, 16:-16]
    for flow in (motion.to_next[inside][:4], -motion.to_last[inside][1:]):
        share = np.median(flow, (1, 2)) / [1, -2]  # of half of the shift between two known frames
        assert np.all((share > 0.4) & (share < 1.1))  # the softmax over costs begins soft
    assert not motion.to_next[:, 4].any()
    assert not motion.to_last[:, 0].any()


@pytest.mark.parametrize(("dtype", "size"), [("float32", (1, 1)), ("bfloat16", (3, 6))])
def test_a_network_with_motion_takes_any_size_and_knows_of_still_frames(tiny, dtype, size):
    alone = {"frb_forward": 0, "hfbs": 0, "cell_order": "fru", "fusion": "direct", "recon": "light"}  # little else
    config = dataclasses.replace(
        tiny, **alone, pyramid_levels=2, image_skip="interpolate", motion="matched", dtype=dtype
    )
    model = config.build()
    x = jnp.tile(jax.random.uniform(jax.random.key(1), (1, 1, *size, 3)), (1, 2, 1, 1, 1))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    output, sown = jax.jit(partial(model.apply, mutable=["motion"]))(variables, x)
    image, flow = output.image, sown["motion"]["flow"][0]
    assert jnp.isfinite(image).all()
    assert image.dtype == flow.dtype == jnp.float32
    assert flow.shape == (1, 3, 2, *size, 2)
    np.testing.assert_allclose(image[:, 1:], image[:, :-1], atol=0.01)
    np.testing.assert_allclose(flow, 0, atol=1e-5)  # costs of v and −v are the same
