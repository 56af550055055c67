"""Matrix products in the shapes that XLA:CPU is fast at (docs/performance.md)."""

import jax
import jax.numpy as jnp
from jax import lax

from yogo_jax.ops.memory import laid_down


def widened(array: jax.Array, axis: int) -> jax.Array:
    """With zeros up to 64 along an axis of 49 to 63: 56 columns of results take up to twice as long as 64."""
    size = array.shape[axis]
    ends = [(0, 64 - size if at == axis and 48 < size < 64 else 0) for at in range(array.ndim)]
    return jnp.pad(array, ends)


def outer(a: jax.Array, b: jax.Array) -> jax.Array:
    """`[P, m]` and `[P, n]` → `[m, n]`, summed over P in float32.

    With the narrower one first, it takes half as long on a CPU.
    """

    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        return lax.dot_general(a, b, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)

    def narrower_first(a: jax.Array, b: jax.Array) -> jax.Array:
        return laid_down(product(b, a)).T  # left to itself, XLA turns the product around again

    if a.shape[1] <= b.shape[1]:
        return product(a, b)
    return lax.platform_dependent(a, b, cpu=narrower_first, default=product)
