"""Distances taken frame by frame are those of the images that the network gives, and so are their gradients."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax import imaging
from yogo_jax.bench.measure import random_params
from yogo_jax.model import Measure, Output, YOGOConfig
from yogo_jax.model.images import mean_distance
from yogo_jax.model.recon import Recon
from yogo_jax.peers import TMNetConfig
from yogo_jax.peers.layers import Reconstruction, reconstructed
from yogo_jax.training.loss import distances

TINY = YOGOConfig(filters=8, groups=2, fe_blocks=1, frb_backward=1, frb_forward=1, hfbs=1, pyramid_levels=1)
CONFIGS = {
    "three heads, a skip that learns": replace(TINY, image_skip="reconstruct", motion="registered"),
    "one light head, bfloat16, remat": replace(
        TINY, fusion="direct", recon="light", image_skip="interpolate", dtype="bfloat16", remat=True
    ),
}
WEIGHTS = {"image": 1.0, "structure": 2.0, "detail": -3.0}
WIDTH = 0.01


def distance(image, target):
    """Charbonnier's."""
    return jnp.sqrt((image - target) ** 2 + WIDTH**2).mean()


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_distances_are_those_of_the_images(config):
    """Of all heads there are, at a size that has to be cropped."""
    rng = np.random.default_rng(0)
    network, frames, truth = config.build(), rng.random((2, 2, 6, 7, 3), np.float32), rng.random((2, 3, 24, 28, 3))
    params, measure = random_params(network, frames), distances(jnp.asarray(truth, jnp.float32), WIDTH)
    structure = imaging.upscale(imaging.downscale(truth))
    targets = {"image": truth, "structure": structure, "detail": truth - structure}

    def measured(params):
        terms = network.apply({"params": params}, frames, measure=measure)._asdict()
        return sum(WEIGHTS[head] * term for head, term in terms.items() if term is not None)

    def of_images(params):
        images = network.apply({"params": params}, frames, auxiliary=True)._asdict()
        image, unrefined = images.pop("image"), images.pop("unrefined")
        images["image"] = image if unrefined is None else unrefined
        return sum(
            WEIGHTS[head] * distance(image, targets[head]) for head, image in images.items() if image is not None
        )

    agree(measured, of_images, params, 1e-3 if config.dtype == "float32" else 0.1)


@pytest.mark.parametrize("skips", [True, False], ids=["TMNet", "Zooming Slow-Mo"])
def test_distances_of_a_peer_s_images(skips):
    """Of features that are given; Zooming Slow-Mo has no skip."""
    rng = np.random.default_rng(0)
    recon = Reconstruction(TMNetConfig(filters=8, groups=4, recon_blocks=1))
    x, skip = rng.random((2, 2, 3, 6, 8, 8), np.float32)
    skip = skip if skips else None
    params = recon.init(jax.random.key(0), x[0])
    truth = rng.random((2, 3, 20, 28, 3), np.float32)

    def images(recon, x, skip, measure=None):
        return reconstructed(recon, (5, 7), x, skip, measure)

    def measured(inputs):
        params, x, skip = inputs
        return nn.apply(images, recon)(params, x, skip, distances(truth, WIDTH))

    def of_images(inputs):
        params, x, skip = inputs
        return distance(nn.apply(images, recon)(params, x, skip), truth)

    agree(measured, of_images, (params, x, skip), 1e-3)


def agree(loss, other, inputs, tolerance: float) -> None:
    """Two losses have the same value and gradients, each leaf up to `tolerance` of its size."""
    (value, found), (expected, gradients) = (jax.jit(jax.value_and_grad(f))(inputs) for f in (loss, other))
    np.testing.assert_allclose(value, expected, rtol=tolerance / 100)

    def close(path, a, b):
        assert a.dtype == b.dtype
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b), jax.tree_util.keystr(path)

    jax.tree.map_with_path(close, found, gradients)


def test_a_scale_is_not_rounded_to_bfloat16():
    """Gradients of seven frames, each a seventh: in bfloat16 that is 0.2 % less."""
    made_of = jax.random.normal(jax.random.key(0), (7, 1000)).astype(jnp.bfloat16)

    def total(params, x, _):
        return jnp.square(params * x).sum()

    found = jax.grad(lambda x: mean_distance(total, jnp.ones(()), x, made_of))(made_of)
    assert found.dtype == jnp.bfloat16
    ratio = found.astype(jnp.float32) / (2 * made_of.astype(jnp.float32) / 7)
    assert abs(ratio.mean() - 1) < 2e-4  # each of them is rounded, by up to 0.4 %


def test_a_head_without_a_target_is_not_measured():
    measure = Measure(Output(jnp.zeros((1, 1, 4, 4, 3))), distance)
    assert measure.of("detail", jnp.multiply, 1.0, jnp.ones((1, 4, 4, 3))) is None
    assert measure.of("image", jnp.multiply, 1.0, jnp.ones((1, 4, 4, 3))) == pytest.approx((1 + WIDTH**2) ** 0.5)


def test_nothing_of_a_frame_is_kept_for_its_gradient():
    """Temporaries of images' gradients grow with each frame; of distances' far less, by features and images alone."""
    recon = Recon(TINY)
    params = recon.init(jax.random.key(0), jnp.zeros((1, 8, 8, 8)))

    def of_images(params, x, target):
        return distance(recon.apply(params, x[0]), target[0])

    def measured(params, x, target):
        return Measure(Output(target), distance).of("image", recon.apply, params, x[0])

    def growth(loss) -> int:
        sizes = [
            jax.jit(jax.grad(loss, argnums=(0, 1)))
            .lower(params, jnp.zeros((1, frames, 8, 8, 8)), jnp.zeros((1, frames, 32, 32, 3)))
            .compile()
            .memory_analysis()
            .temp_size_in_bytes
            for frames in (4, 8)
        ]
        return sizes[1] - sizes[0]

    assert growth(measured) < growth(of_images) / 4
