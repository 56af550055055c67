"""The look at held-out examples that a run takes from time to time. `yogo eval` is the paper's protocol."""

from collections.abc import Callable, Iterable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from yogo_jax.evaluation.metrics import Quality, frame_scores
from yogo_jax.imaging import quantise, to_float, upscale
from yogo_jax.tracing import uncollected
from yogo_jax.training.sharding import AXES, put_batch, replicated

Batch = dict[str, np.ndarray]

_ROWS = 4


class Evaluator:
    """PSNR and SSIM, on luma and on RGB, over held-out examples: of all frames, the known ones, the made ones.

    Args:
      network: whose parameters are evaluated.
      batches: of `make_eval_input`; gone through once for each evaluation.
      mesh: whose devices divide the batch.
    """

    def __init__(self, network: nn.Module, batches: Iterable[Batch], mesh: Mesh) -> None:
        self._batches, self._mesh = batches, mesh
        self._step = _compile(network, mesh)

    def __call__(self, params: Any) -> tuple[dict[str, float], np.ndarray]:
        """The mean scores over frames, and a strip of samples [H, W, 3] uint8.

        Each row of the strip is the first made frame of an example of the first batch: bicubic, the network's,
        the truth.
        """
        total: dict[str, Quality] = {}
        strip: list[np.ndarray] = []
        for batch in self._batches:
            part, images = self._step(params, put_batch(batch, self._mesh))
            total = {name: total[name].merge(part[name]) if name in total else part[name] for name in part}
            if not strip:
                strip = _strip(batch, np.concatenate([shard.data for shard in images.addressable_shards]))
        scores = {
            f"{score}{suffix}": float(value)
            for suffix, quality in total.items()
            for score, value in quality.compute().items()
        }
        return scores, np.concatenate(strip)


def _compile(network: nn.Module, mesh: Mesh) -> Callable:
    spread = PartitionSpec(AXES)

    def infer(params: Any, lr: jax.Array) -> jax.Array:
        return network.apply({"params": params}, to_float(lr)).image  # type: ignore[union-attr]

    local = jax.shard_map(infer, mesh=mesh, in_specs=(PartitionSpec(), spread), out_specs=spread, check_vma=False)

    @uncollected()
    def step(params: Any, batch: dict[str, jax.Array]) -> tuple[dict[str, Quality], jax.Array]:
        images = local(params, batch["lr"])
        scores = frame_scores(images, batch["hr"])
        known = jnp.arange(images.shape[1]) % 2 == 0
        qualities = {
            suffix: Quality.single_from_model_output(**scores, mask=batch["mask"][:, None] & frames)
            for suffix, frames in (("", jnp.ones_like(known)), ("_known", known), ("_made", ~known))
        }
        return qualities, quantise(images[:, 1])

    return jax.jit(step, out_shardings=(replicated(mesh), NamedSharding(mesh, spread)))


def _strip(batch: Batch, images: np.ndarray) -> list[np.ndarray]:
    rows = list(zip(batch["lr"], batch["hr"], images, strict=True))[:_ROWS]
    return [
        np.concatenate([quantise(upscale(to_float(lr[:2]).mean(axis=0))), image, hr[1]], axis=1)
        for lr, hr, image in rows
    ]
