"""What keeps XLA:CPU from sharing arrays and computing them anew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax.ops.memory import laid_down_on_cpu, zeros_of_its_own


@pytest.mark.parametrize("first", [1.0, np.nan, -np.inf])
def test_zeros_are_zeros_and_the_compiler_does_not_know(first):
    compiled = jax.jit(lambda probe: zeros_of_its_own(probe, (3, 4))).lower(jnp.ones((2, 2))).compile()
    np.testing.assert_array_equal(compiled(jnp.full((2, 2), first)), np.zeros((3, 4)))
    assert "compare" in compiled.as_text()


def test_only_cpus_lay_down_behind_a_conditional():
    traced = jax.jit(lambda x: laid_down_on_cpu((x + 1, x * 2))).trace(jnp.arange(3.0))
    for platform, comparisons in (("cpu", 1), ("cuda", 0), ("tpu", 0)):
        assert traced.lower(lowering_platforms=(platform,)).as_text().count("stablehlo.compare") == comparisons
    first, second = jax.jit(lambda x: laid_down_on_cpu((x + 1, x * 2)))(jnp.array([jnp.nan, -jnp.inf, 3]))
    np.testing.assert_array_equal(first, [np.nan, -np.inf, 4])
    np.testing.assert_array_equal(second, [np.nan, -np.inf, 6])
