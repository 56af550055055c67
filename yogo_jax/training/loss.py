"""The loss of section III-E: Charbonnier distances of three heads from three targets."""

from functools import partial

import jax
import jax.numpy as jnp

from yogo_jax.imaging import structure_and_detail, to_float
from yogo_jax.model import Measure, Output


def charbonnier(prediction: jax.Array, target: jax.Array, width: float) -> jax.Array:
    """Mean of √((prediction − target)² + width²) over all elements, float32 [].

    The paper sums over the pixels and we take the mean: AdaMax does not see the difference, and a rate or a
    clipping norm then does not depend on the size of the patch.
    """
    difference = prediction.astype(jnp.float32) - target.astype(jnp.float32)
    return jnp.mean(jnp.sqrt(jnp.square(difference) + width**2))


def distances(ground_truth: jax.Array, width: float) -> Measure:
    """What a network is to measure for the loss, whose terms are the distances of its image, structure and detail.

    Args:
      ground_truth: [B, T, 4H, 4W, 3], uint8 or float in [0, 1].
      width: w of the Charbonnier distance, in units of [0, 1].
    """
    ground_truth = to_float(ground_truth)
    targets = Output(ground_truth, *structure_and_detail(ground_truth))
    return Measure(targets, partial(charbonnier, width=width))
