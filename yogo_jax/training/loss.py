"""The loss of section III-E: Charbonnier distances of three heads from three targets."""

import jax
import jax.numpy as jnp

from yogo_jax.imaging import structure_and_detail, to_float
from yogo_jax.model import Output


def charbonnier(prediction: jax.Array, target: jax.Array, width: float) -> jax.Array:
    """Mean of √((prediction − target)² + width²) over all elements, float32 [].

    The paper sums over the pixels and we take the mean: AdaMax does not see the difference, and a rate or a
    clipping norm then does not depend on the size of the patch.
    """
    difference = prediction.astype(jnp.float32) - target.astype(jnp.float32)
    return jnp.mean(jnp.sqrt(jnp.square(difference) + width**2))


def loss_terms(output: Output, ground_truth: jax.Array, width: float) -> dict[str, jax.Array]:
    """The loss's terms apart, by head: `image`, and `structure` and `detail` where the network has these heads.

    Args:
      output: of the network with `auxiliary=True`, each image [B, T, 4H, 4W, 3].
      ground_truth: [B, T, 4H, 4W, 3], uint8 or float in [0, 1].
      width: w of the Charbonnier distance, in units of [0, 1].
    """
    ground_truth = to_float(ground_truth)
    image = output.image if output.unrefined is None else output.unrefined
    terms = {"image": charbonnier(image, ground_truth, width)}
    if output.structure is not None and output.detail is not None:
        structure, detail = structure_and_detail(ground_truth)
        terms["structure"] = charbonnier(output.structure, structure, width)
        terms["detail"] = charbonnier(output.detail, detail, width)
    return terms
