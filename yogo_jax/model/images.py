"""What a network makes of its features: images, or how far they are from the wanted ones. One at a time.

The widest features of a network are those that images are made of, of 16 times the pixels, and in training it makes
three for each frame. A loss that is a mean over images needs what an image is made of no longer than that image itself
(`mean_distance`): nothing is computed again for it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct


class Output(NamedTuple):
    """What the network makes, RGB, float32, `[B, 2N−1, 4H, 4W, 3]` each, not clamped; distances under a `Measure`.

    `structure`, `detail` and `unrefined` are None unless asked for, and in networks without them. `unrefined` is what
    the heads made of the image, before `back_projection.refine`: the one to be trained, as no gradient goes past that.
    """

    image: jax.Array
    structure: jax.Array | None = None
    detail: jax.Array | None = None
    unrefined: jax.Array | None = None


@struct.dataclass
class Measure:
    """For training: a network gives each head's mean distance from its target, over all frames, in its image's place.

    The image is then the unrefined one.

    Attributes:
      targets: what the images are to be like, `[B, 2N−1, 4H, 4W, 3]` each. A head without one is not measured.
      distance: mean over all elements, float32 [], for an image and its target, `[1, 4H, 4W, 3]`.
    """

    targets: Output
    distance: Callable[[jax.Array, jax.Array], jax.Array] = struct.field(pytree_node=False)

    def of(self, head: str, images: Callable[[Any, Any], Any], params: Any, made_of: Any) -> jax.Array | None:
        """Mean distance of a head's B·T images, `images(params, made_of[i : i + 1])`, `[1, 4H, 4W, 3]` each."""
        measured, target = self.distance, getattr(self.targets, head)
        if target is None:
            return None

        def distance(params: Any, made_of: Any, target: jax.Array) -> jax.Array:
            return measured(images(params, made_of), target)

        return mean_distance(distance, params, made_of, flat(target))


def flat(x: jax.Array) -> jax.Array:
    """`[B, T, …]` → `[B·T, …]`"""
    return x.reshape(-1, *x.shape[2:])


def one_by_one(module: nn.Module, *arrays: Any) -> jax.Array:
    """The module on arrays `[M, …]` (or None), one of M after the other: only of one are there its widest features.

    Gradients keep those of all; `mean_distance` does not.
    """

    def step(module: nn.Module, _: None, now: Any) -> tuple[None, jax.Array]:
        return None, module(*jax.tree.map(lambda x: x[None], now))[0]

    return nn.scan(step, variable_broadcast="params", split_rngs={"params": False})(module, None, arrays)[1]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def mean_distance(distance: Callable, params: Any, made_of: Any, target: jax.Array) -> jax.Array:
    """Mean over M images of `distance(params, made_of, target)`, of one at a time; float32 [].

    Gradients to params and `made_of` are taken image after image, along with the values: what the gradient of one needs
    is gone before the next one is made. The target has none.

    Args:
      distance: of one image, its arguments with an axis of 1 for M; float32 []. Whatever a gradient is to reach must
        come in as an argument.
      params: any tree of float arrays.
      made_of: any tree of float `[M, …]`.
      target: `[M, …]`.
    """

    def one(made_of: Any, target: jax.Array) -> tuple[jax.Array, None]:
        return distance(params, made_of, target), None

    return _summed(one, jnp.zeros(()), made_of, target)[0] / len(target)


def _with_gradients(distance: Callable, params: Any, made_of: Any, target: jax.Array) -> tuple[jax.Array, tuple]:
    def one(made_of: Any, target: jax.Array) -> tuple[tuple[jax.Array, Any], Any]:
        value, (of_params, of_made) = jax.value_and_grad(distance, argnums=(0, 1))(params, made_of, target)
        return (value, of_params), jax.tree.map(lambda x: x[0], of_made)

    zeros = jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)
    (total, of_params), of_made = _summed(one, zeros, made_of, target)
    return total / len(target), (of_params, of_made)


def _scaled(distance: Callable, gradients: tuple[Any, Any], by: jax.Array) -> tuple[Any, Any, None]:
    by = by / len(jax.tree.leaves(gradients[1])[0])
    return (*jax.tree.map(lambda x: (by * x).astype(x.dtype), gradients), None)


mean_distance.defvjp(_with_gradients, _scaled)


def _summed(one: Callable, zeros: Any, *arrays: Any) -> tuple[Any, Any]:
    """What `one` gives first for each `[1, …]` of the arrays' `[M, …]`, summed, and what it gives second, `[M, …]`."""

    def step(total: Any, now: Any) -> tuple[Any, Any]:
        summed, stacked = one(*jax.tree.map(lambda x: x[None], now))
        return jax.tree.map(jnp.add, total, summed), stacked

    return jax.lax.scan(step, zeros, arrays)
