"""Zooming Slow-Mo and TMNet: published costs, and what their moments and frames must do.

That they compute what the PyTorch ones do is tested in tests/convert.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax.bench.measure import random_params
from yogo_jax.configuration import load_config
from yogo_jax.errors import UserError
from yogo_jax.info import cost
from yogo_jax.peers import TMNetConfig, ZoomingSlowMoConfig
from yogo_jax.peers.layers import BidirectionalConvLSTM, pairs, weave
from yogo_jax.peers.tmnet import TemporalModulation

# Parameters in millions, and multiply-adds in tera on four frames of 180×144: without bias adds the papers' peers
# are 1.762 and 1.870; with them, as everything here is counted, 1.765 and 1.873.
PUBLISHED = {"zooming_slow_mo": (11.10, 1.765), "tmnet": (12.26, 1.873)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_costs_are_the_published_ones(name):
    found = cost(load_config(f"configs/{name}.py").model.build())
    parameters, multiply_adds = PUBLISHED[name]
    assert found.parameters / 1e6 == pytest.approx(parameters, abs=0.005)
    assert found.multiply_adds / 1e12 == pytest.approx(multiply_adds, abs=0.001)


def test_moments_are_an_option_on_the_command_line():
    config = load_config("configs/tmnet.py", ["--config.model.moments=(0.25, 0.5, 0.75)"]).model
    shapes = jax.eval_shape(config.build().init_with_output, jax.random.key(0), jnp.zeros((1, 3, 10, 12, 3)))[0]
    assert shapes.image.shape == (1, 9, 40, 48, 3)


@pytest.mark.parametrize("moments", [(), (0.0,), (1.0,), (0.6, 0.4), (0.5, 0.5), (float("nan"),)])
def test_moments_outside_of_an_interval(moments):
    with pytest.raises(UserError, match="ascending"):
        TMNetConfig(moments=moments)


def test_half_way_nothing_is_modulated():
    """The modulation of the moment 0 is exactly zero, which is why the aligner leaves it out there."""
    x = jnp.asarray(np.random.default_rng(0).random((1, 4, 4, 8), np.float32))
    modulation = TemporalModulation()
    variables = modulation.init(jax.random.key(0), x, 0.3)
    assert jnp.abs(modulation.apply(variables, x, 0.3)).max() > 0
    assert jnp.abs(modulation.apply(variables, x, 0.0)).max() == 0


def test_remat_changes_memory_only():
    tiny = ZoomingSlowMoConfig(filters=8, groups=4, fe_blocks=1, recon_blocks=1)
    plain, remat = (BidirectionalConvLSTM(dataclasses.replace(tiny, remat=remat)) for remat in (False, True))
    x = jnp.asarray(np.random.default_rng(0).random((2, 3, 8, 8, 8), np.float32))
    params = random_params(plain, x)

    def loss(params, model):
        y = model.apply({"params": params}, x)
        return jnp.square(y).mean(), y

    kept = [str(jax.make_jaxpr(partial(loss, model=model))(params)).count("prevent_cse=") for model in (plain, remat)]
    assert kept[0] < kept[1]
    one, other = (jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)(params, model) for model in (plain, remat))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * jnp.abs(b).max()), one, other)


def test_weave_puts_frames_in_order_of_time():
    known = jnp.array([[0.0, 3.0, 6.0], [10.0, 13.0, 16.0]])[..., None]
    (before,), (after,) = pairs([known])
    woven = weave(known, [before + (after - before) * k / 3 for k in (1, 2)])
    np.testing.assert_allclose(woven[..., 0], [np.arange(7.0), np.arange(10.0, 17.0)])
