"""Keeping XLA:CPU from computing the same thing again and again."""

from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax

Arrays = TypeVar("Arrays")


def laid_down(arrays: Arrays) -> Arrays:
    """The same arrays, computed once and laid down in memory as they are: for code that only CPUs run.

    XLA:CPU works cheap things out again, element by element, wherever they are used, and drops optimisation
    barriers before it decides on that. It does not look through a conditional; this one is always taken, since
    nothing is less than −∞, but the compiler does not know.
    """
    return held_back(arrays, jax.tree.leaves(arrays)[-1])


def laid_down_on_cpu(arrays: Arrays) -> Arrays:
    """`laid_down` for code that all platforms run: on others, a conditional would only cost."""
    return lax.platform_dependent(arrays, cpu=laid_down, default=lambda a: a)


def _zeros(arrays: Arrays) -> Arrays:
    return jax.tree.map(jnp.zeros_like, arrays)


def _same(arrays: Arrays) -> Arrays:
    return arrays


def held_back(arrays: Arrays, until: jax.Array) -> Arrays:
    """The same arrays, which are not there before `until` is.

    XLA:CPU finds what a backward pass makes anew of a forward pass's arrays (padded copies, transforms) in the forward
    pass, and keeps it from there on, at many times the memory of the arrays. This hides that they are the same.
    """
    return lax.cond(until.ravel()[0] < -jnp.inf, _zeros, _same, arrays)


def zeros_of_its_own(probe: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Large zeros for a loop to write into, of the dtype of `probe`, any array whose values no compiler knows.

    XLA:CPU keeps one array of all zeros of a shape, and copies it for each loop. It does not see that these are zeros.
    """
    return jnp.broadcast_to(jnp.where(probe.ravel()[0] < -jnp.inf, 1, 0).astype(probe.dtype), shape)
