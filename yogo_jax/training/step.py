"""One optimiser step and one evaluation step, each a single compiled function over the mesh."""

import re
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh, PartitionSpec

from yogo_jax.configuration import OptimConfig
from yogo_jax.imaging import to_float
from yogo_jax.tracing import uncollected
from yogo_jax.training.loss import distances
from yogo_jax.training.optimiser import current_learning_rate, moving_average
from yogo_jax.training.sharding import AXES, batch_sharding, replicated
from yogo_jax.training.state import TrainState, shardings_of

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    network: nn.Module,
    optimiser: optax.GradientTransformation,
    config: OptimConfig,
    mesh: Mesh,
) -> tuple[TrainState, Metrics]:
    """Gradient of the loss on one batch, and the state after it.

    A loss or a gradient that is not finite leaves parameters, moments and average as they were, and counts.

    Args:
      state: before the step.
      batch: lr [B, N, h, w, 3] and hr [B, T, 4h, 4w, 3], uint8 or float in [0, 1].
      network, optimiser, config, mesh: fixed for the run.

    Returns: the state after it, and scalars: the loss and its terms, the gradient's norm before clipping, the
      learning rate, the mean absolute offset of each pyramid level, the counts of skipped steps.
    """

    def loss(params: Any, batch: Batch) -> tuple[jax.Array, Metrics]:
        frames = to_float(batch["lr"])
        measure = distances(batch["hr"], config.charbonnier_width)
        output, sown = network.apply({"params": params}, frames, measure=measure, mutable=["offsets"])
        terms = {head: term for head, term in output._asdict().items() if term is not None}
        metrics = {f"loss_{head}": term for head, term in terms.items()}
        total = jnp.stack(list(terms.values())).sum()
        return total, {"loss": total, **metrics, **_offsets(sown)}

    gradient = _accumulated(jax.grad(loss, has_aux=True), config.accumulate)
    gradients, metrics = _mean_over_devices(gradient, mesh)(state.params, batch)
    norm = optax.tree.norm(gradients)
    finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(norm)

    updates, opt_state = optimiser.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    average = state.average
    if average is not None:
        average = moving_average(average, params, state.step, config.ema_decay)
    learned = (params, average, opt_state)
    kept = (state.params, state.average, state.opt_state)
    params, average, opt_state = jax.tree.map(lambda new, old: jnp.where(finite, new, old), learned, kept)

    new_state = TrainState(
        step=state.step + 1,
        params=params,
        average=average,
        opt_state=opt_state,
        skipped=state.skipped + ~finite,
        skipped_in_a_row=jnp.where(finite, 0, state.skipped_in_a_row + 1),
    )
    metrics |= {
        "gradient_norm": norm,
        "learning_rate": current_learning_rate(opt_state),
        "skipped": new_state.skipped,
        "skipped_in_a_row": new_state.skipped_in_a_row,
    }
    return new_state, metrics


def compile_train_step(
    network: nn.Module,
    optimiser: optax.GradientTransformation,
    config: OptimConfig,
    mesh: Mesh,
    abstract: TrainState,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """`train_step` jitted over the mesh; the state that goes in is given up for the one that comes out."""

    @uncollected()
    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        return train_step(state, batch, network=network, optimiser=optimiser, config=config, mesh=mesh)

    shardings = shardings_of(abstract)
    return jax.jit(
        step,
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
    )


def _mean_over_devices(gradient: Callable, mesh: Mesh) -> Callable:
    """`gradient(params, batch)` of each device's own examples, then the mean over the mesh.

    Left to itself, XLA's partitioner would gather the whole batch on every device for each deformable
    convolution, whose samples it cannot tell to be local.
    """

    def local(params: Any, batch: Batch) -> Any:
        return jax.lax.pmean(gradient(params, batch), AXES)

    specs = PartitionSpec(), PartitionSpec(AXES)
    return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), check_vma=False)


def _accumulated(gradient: Callable, parts: int) -> Callable:
    """`gradient(params, batch)` as the mean over `parts` equal parts of the batch, one after the other."""
    if parts == 1:
        return gradient

    def mean_gradient(params: Any, batch: Batch) -> Any:
        batches = jax.tree.map(lambda value: value.reshape(parts, -1, *value.shape[1:]), batch)
        shapes = jax.eval_shape(gradient, params, jax.tree.map(lambda value: value[0], batches))

        def add(total: Any, part: Batch) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, gradient(params, part)), None

        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        total, _ = jax.lax.scan(add, zeros, batches)
        return jax.tree.map(lambda leaf: leaf / parts, total)

    return mean_gradient


def _offsets(sown: Any) -> Metrics:
    """Mean absolute offset of each pyramid level in pixels of that level, over cells, directions and time."""
    levels: dict[str, list[jax.Array]] = {}
    offsets: dict[str, Any] = flatten_dict(sown.get("offsets", {}), sep="/")  # type: ignore[assignment]
    for path, value in offsets.items():
        level = re.search(r"level(\d+)", path)
        if level:
            levels.setdefault(f"offset_level{level[1]}", []).append(jnp.mean(value[0]))
    return {name: jnp.mean(jnp.stack(values)) for name, values in sorted(levels.items())}
