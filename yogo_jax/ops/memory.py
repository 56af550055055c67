"""Keeping XLA:CPU from computing the same thing again and again."""

from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax

Arrays = TypeVar("Arrays")


def laid_down(arrays: Arrays) -> Arrays:
    """The same arrays, computed once and laid down in memory as they are.

    XLA:CPU works cheap things out again, element by element, wherever they are used, and drops optimisation
    barriers before it decides on that. It does not look through a conditional; this one is always taken, since
    nothing is less than −∞, but the compiler does not know.
    """
    probe = jax.tree.leaves(arrays)[-1].ravel()[0]
    return lax.cond(probe < -jnp.inf, lambda a: jax.tree.map(jnp.zeros_like, a), lambda a: a, arrays)
