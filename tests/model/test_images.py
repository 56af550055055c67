"""Distances taken frame by frame are those of the images that the network gives, and so are their gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from yogo_jax.bench.measure import random_params
from yogo_jax.model import Measure, Output, YOGOConfig
from yogo_jax.model.recon import Recon
from yogo_jax.peers import TMNetConfig
from yogo_jax.peers.layers import Reconstruction
from yogo_jax.training.loss import charbonnier, distances

TINY = YOGOConfig(
    filters=8,
    groups=2,
    fe_blocks=1,
    frb_backward=1,
    frb_forward=1,
    hfbs=1,
    pyramid_levels=1,
    image_skip="reconstruct",
    motion="registered",
)
WEIGHTS = {"image": 1.0, "structure": 2.0, "detail": -3.0}
WIDTH = 0.01


def test_distances_are_those_of_the_images():
    """Of all three heads, with a skip that learns, and sizes that have to be cropped."""
    rng = np.random.default_rng(0)
    network, frames = TINY.build(), rng.random((2, 2, 6, 7, 3), np.float32)
    params, measure = random_params(network, frames), distances(rng.random((2, 3, 24, 28, 3), np.float32), WIDTH)

    def weighted(terms):
        return sum(weight * terms[head] for head, weight in WEIGHTS.items())

    def measured(params):
        return weighted(network.apply({"params": params}, frames, measure=measure)._asdict())

    def of_images(params):
        output = network.apply({"params": params}, frames, auxiliary=True)
        images = {"image": output.unrefined, "structure": output.structure, "detail": output.detail}
        return weighted({head: measure.distance(images[head], getattr(measure.targets, head)) for head in images})

    agree(measured, of_images, params)


def test_distances_of_a_peer_s_images():
    rng = np.random.default_rng(0)
    recon = Reconstruction(TMNetConfig(filters=8, groups=4, recon_blocks=1, remat=True))
    x, skip = rng.random((2, 2, 3, 6, 8, 8), np.float32)
    params = recon.init(jax.random.key(0), x, (5, 7), skip)["params"]
    measure = distances(rng.random((2, 3, 20, 28, 3), np.float32), WIDTH)

    def measured(inputs):
        params, x, skip = inputs
        return recon.apply({"params": params}, x, (5, 7), skip, measure=measure)

    def of_images(inputs):
        params, x, skip = inputs
        return measure.distance(recon.apply({"params": params}, x, (5, 7), skip), measure.targets.image)

    agree(measured, of_images, (params, x, skip))


def agree(loss, other, inputs) -> None:
    """Two losses have the same value and gradients."""
    (value, found), (expected, gradients) = (jax.jit(jax.value_and_grad(f))(inputs) for f in (loss, other))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    largest = max(jnp.abs(leaf).max() for leaf in jax.tree.leaves(gradients))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6 * largest), found, gradients)


def test_nothing_of_a_frame_is_kept_for_its_gradient():
    """Temporaries of images' gradients grow with each frame; of distances' far less, by features and images alone."""
    recon = Recon(TINY)
    params = recon.init(jax.random.key(0), jnp.zeros((1, 8, 8, 8)))

    def of_images(params, x, target):
        return charbonnier(recon.apply(params, x[0]), target[0], WIDTH)

    def measured(params, x, target):
        measure = Measure(Output(target), partial(charbonnier, width=WIDTH))
        return measure.of("image", recon.apply, params, x[0])

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
    x, target = jax.random.normal(jax.random.key(1), (1, 4, 8, 8, 8)), jnp.zeros((1, 4, 32, 32, 3))
    np.testing.assert_allclose(jax.jit(measured)(params, x, target), of_images(params, x, target), rtol=1e-5)
