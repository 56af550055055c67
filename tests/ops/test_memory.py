"""What keeps XLA:CPU from sharing arrays and computing them anew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax.ops.memory import zeros_of_its_own


@pytest.mark.parametrize("first", [1.0, np.nan, -np.inf])
def test_zeros_are_zeros_and_the_compiler_does_not_know(first):
    compiled = jax.jit(lambda probe: zeros_of_its_own(probe, (3, 4))).lower(jnp.ones((2, 2))).compile()
    np.testing.assert_array_equal(compiled(jnp.full((2, 2), first)), np.zeros((3, 4)))
    assert "compare" in compiled.as_text()
