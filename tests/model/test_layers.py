"""Chains of blocks: one scan, or one block after the other, they do the same to the same parameters."""

import operator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax.model.layers import LOOPED_FROM, ResidualBlock, ResidualBlocks, chained


class Half(nn.Module):
    """Of two inputs: the second, and the first times a parameter."""

    @nn.compact
    def __call__(self, pair):
        x, y = pair
        return y, x * self.param("factor", nn.initializers.normal(), ())


@pytest.mark.parametrize("filters", [8, LOOPED_FROM])
def test_blocks_follow_each_other_with_parameters_of_their_own(filters):
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 5, 4, filters)), jnp.float32)
    blocks, block = ResidualBlocks(filters, 3), ResidualBlock(filters)
    params = blocks.init(jax.random.key(0), x)["params"]["block"]
    kernels = params["conv1"]["kernel"]
    assert kernels.shape == (3, 3, 3, filters, filters)
    assert not np.allclose(kernels[0], kernels[1])

    def one_by_one(params, x):
        for i in range(3):
            x = block.apply({"params": jax.tree.map(operator.itemgetter(i), params)}, x)
        return x

    def chain(params, x):
        return blocks.apply({"params": {"block": params}}, x)

    np.testing.assert_allclose(chain(params, x), one_by_one(params, x), atol=1e-5)
    found, expected = (jax.grad(lambda p, f=f: (f(p, x) ** 2).sum())(params) for f in (chain, one_by_one))
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)


def test_few_channels_are_not_worth_a_scan_and_no_blocks_are_nothing():
    def loops(filters):
        x = jnp.zeros((1, 4, 4, filters))
        blocks = ResidualBlocks(filters, 3)
        return jax.jit(blocks.apply).lower(blocks.init(jax.random.key(0), x), x).as_text().count("stablehlo.while")

    assert (loops(LOOPED_FROM - 8), loops(LOOPED_FROM)) == (0, 1)
    x = jnp.ones((1, 2, 2, 4))
    assert ResidualBlocks(4, 0).apply({}, x) is x


def test_what_runs_through_a_chain_may_be_several_arrays():
    class Chain(nn.Module):
        @nn.compact
        def __call__(self, pair):
            return chained(Half(name="half"), 3, pair)

    pair = jnp.ones((2, 64)), jnp.full((2, 64), 2.0)
    variables = Chain().init(jax.random.key(0), pair)
    a, b, c = variables["params"]["half"]["factor"]
    first, second = Chain().apply(variables, pair)
    np.testing.assert_allclose(first, 2 * b * pair[0], rtol=1e-6)
    np.testing.assert_allclose(second, a * c * pair[0], rtol=1e-6)
