"""What a network makes of its features: images, or how far they are from the wanted ones. One frame at a time.

The widest features of a network are those that images are made of: 16 times the pixels, and in training a network has
three images. A loss that is a mean over frames needs none of them for longer than its own frame takes
(`mean_distance`): a third less memory for a training step of YOGO-64 at 32×32, and no more work.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp


class Output(NamedTuple):
    """What the network makes, RGB, float32, `[B, 2N−1, 4H, 4W, 3]` each, not clamped.

    `structure`, `detail` and `unrefined` are None unless asked for, and in networks without them. `unrefined` is what
    the heads made of the image, before `back_projection.refine`: the one to be trained, as no gradient goes past that.
    """

    image: jax.Array
    structure: jax.Array | None = None
    detail: jax.Array | None = None
    unrefined: jax.Array | None = None


class Measure(NamedTuple):
    """Has a network give each image's mean distance from its target, float32 [], in that image's place: for training.

    The image is then the unrefined one.

    Attributes:
      targets: what the images are to be like, `[B, 2N−1, 4H, 4W, 3]` each.
      distance: mean over all elements, float32 [], for an image and its target, `[B, 4H, 4W, 3]`.
    """

    targets: Output
    distance: Callable[[jax.Array, jax.Array], jax.Array]

    def of(self, head: str, images: Callable[[Any, Any], Any], params: Any, made_of: Any) -> jax.Array:
        """Mean distance of a head's `images(params, made_of)`, `[B, 4H, 4W, 3]`, over the T of `made_of`."""
        measured = self.distance

        def distance(params: Any, made_of: Any, target: jax.Array) -> jax.Array:
            return measured(images(params, made_of), target)

        return mean_distance(distance, params, made_of, getattr(self.targets, head))


def one_by_one(module: nn.Module, x: jax.Array, remat: bool) -> jax.Array:
    """The module on x `[B, …]`, example after example; with `remat`, gradients compute each of them again."""

    def step(module: nn.Module, _: None, x: jax.Array) -> tuple[None, jax.Array]:
        return None, module(x[None])[0]

    step = nn.remat(step, prevent_cse=False) if remat else step
    return nn.scan(step, variable_broadcast="params", split_rngs={"params": False})(module, None, x)[1]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def mean_distance(distance: Callable, params: Any, made_of: Any, target: jax.Array) -> jax.Array:
    """Mean over T frames of `distance(params, made_of, target)`, each taken of the whole batch's; float32 [].

    Gradients to params and `made_of` are taken frame after frame, along with the values: what one frame's gradient
    needs is gone before the next frame begins. The target has none.

    Args:
      distance: of one frame, float32 []. Whatever a gradient is to reach must come in as an argument.
      params: any tree of float arrays.
      made_of: any tree of float `[B, T, …]`.
      target: `[B, T, …]`.
    """

    def one(made_of: Any, target: jax.Array) -> tuple[jax.Array, None]:
        return distance(params, made_of, target), None

    return _over_time(one, jnp.zeros(()), made_of, target)[0] / target.shape[1]


def _with_gradients(distance: Callable, params: Any, made_of: Any, target: jax.Array) -> tuple[jax.Array, tuple]:
    def one(made_of: Any, target: jax.Array) -> tuple[tuple[jax.Array, Any], Any]:
        value, (of_params, of_made) = jax.value_and_grad(distance, argnums=(0, 1))(params, made_of, target)
        return (value, of_params), of_made

    zeros = jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)
    (total, of_params), of_made = _over_time(one, zeros, made_of, target)
    return total / target.shape[1], (of_params, of_made)


def _scaled(distance: Callable, gradients: tuple[Any, Any], by: jax.Array) -> tuple[Any, Any, None]:
    of_params, of_made = gradients
    by = by / jax.tree.leaves(of_made)[0].shape[0]
    of_params, of_made = jax.tree.map(lambda x: by.astype(x.dtype) * x, gradients)
    return of_params, jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), of_made), None


mean_distance.defvjp(_with_gradients, _scaled)


def _over_time(one: Callable, zeros: Any, *videos: Any) -> tuple[Any, Any]:
    """What `one` gives first of the videos' frames, `[B, T, …]`, summed over T, and what it gives second, `[T, …]`."""

    def step(total: Any, time: jax.Array) -> tuple[Any, Any]:
        frame = jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, time, axis=1, keepdims=False), videos)
        summed, stacked = one(*frame)
        return jax.tree.map(jnp.add, total, summed), stacked

    return jax.lax.scan(step, zeros, jnp.arange(jax.tree.leaves(videos)[0].shape[1]))
