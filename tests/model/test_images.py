"""Distances taken frame by frame are those of the images that the network gives, and so are their gradients."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax.bench.measure import random_params
from yogo_jax.model import Measure, Output, YOGOConfig
from yogo_jax.model.recon import Recon
from yogo_jax.peers import TMNetConfig
from yogo_jax.training.loss import charbonnier, distances

TINY = YOGOConfig(filters=8, groups=2, fe_blocks=1, frb_backward=1, frb_forward=1, hfbs=1, pyramid_levels=2)
NETWORKS = {
    "paper": TINY,
    "registered": dataclasses.replace(TINY, image_skip="reconstruct", motion="registered", recon="light"),
    "peer": TMNetConfig(filters=8, groups=4, fe_blocks=1, recon_blocks=1, remat=True),
}
WEIGHTS = {"image": 1.0, "structure": 2.0, "detail": -3.0}
WIDTH = 0.01


class Losses:
    """A weighted loss of a network, with its gradients: of distances, and of the images themselves."""

    def __init__(self, config):
        rng = np.random.default_rng(0)
        self.network = config.build()
        self.frames = rng.random((2, 3, 6, 7, 3), np.float32)  # no multiple of anything
        self.params = random_params(self.network, self.frames)
        self.truth = rng.random((2, 5, 24, 28, 3), np.float32)

    def measured(self, params):
        output = self.network.apply({"params": params}, self.frames, measure=distances(self.truth, WIDTH))
        return self._total(output._asdict())

    def of_images(self, params):
        output = self.network.apply({"params": params}, self.frames, auxiliary=True)
        images, targets = output._asdict(), distances(self.truth, WIDTH).targets._asdict()
        if output.unrefined is not None:
            images["image"] = output.unrefined
        return self._total(
            {
                head: None if images[head] is None else charbonnier(images[head], targets[head], WIDTH)
                for head in WEIGHTS
            }
        )

    def _total(self, terms):
        return sum(weight * terms[head] for head, weight in WEIGHTS.items() if terms[head] is not None)


@pytest.mark.parametrize("name", NETWORKS)
def test_distances_are_those_of_the_images(name):
    losses = Losses(NETWORKS[name])
    (value, found), (expected, gradients) = (
        jax.jit(jax.value_and_grad(loss))(losses.params) for loss in (losses.measured, losses.of_images)
    )
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
        return measure.of("image", recon.apply, params, x)

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
