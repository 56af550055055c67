"""AdaMax, its schedules, and the running average of the parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from yogo_jax.configuration import OptimConfig

Params = Any


def learning_rate(config: OptimConfig, steps: int) -> optax.Schedule:
    """The rate at each of `steps` optimiser steps: a linear warm-up, then the config's schedule."""
    rate, warmup = config.learning_rate, config.warmup_steps
    if config.schedule == "piecewise":
        # join_schedules starts the second schedule's count at the end of the first.
        boundaries = {step - warmup: config.factor for step in config.boundaries}
        after = optax.piecewise_constant_schedule(rate, boundaries)
    else:
        after = optax.cosine_decay_schedule(rate, steps - warmup, alpha=config.final_fraction)
    if not warmup:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, rate, warmup), after], [warmup])


def make_optimiser(config: OptimConfig, steps: int) -> optax.GradientTransformation:
    """AdaMax (Kingma and Ba 2015, section 7.1) after an optional clipping by the global norm.

    The state carries the current rate, `current_learning_rate` finds it.
    """
    adamax = optax.inject_hyperparams(optax.adamax, static_args=("b1", "b2"))(
        learning_rate=learning_rate(config, steps), b1=config.b1, b2=config.b2
    )
    # Without a limit too there is something in its place, so that a run may take one up when it goes on.
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    return optax.chain(clip, adamax)


def current_learning_rate(opt_state: optax.OptState) -> jax.Array:
    """The rate that the optimiser's last update used."""
    return optax.tree_utils.tree_get(
        opt_state, "learning_rate", filtering=lambda path, _: "hyperparams_states" not in str(path)
    )


def moving_average(average: Params, params: Params, step: jax.Array, decay: float) -> Params:
    """Exponential moving average after `step` (counted from 0); early steps decay faster: (1 + t) / (10 + t)."""
    step = step.astype(jnp.float32)
    kept = jnp.minimum(decay, (1 + step) / (10 + step))
    return optax.incremental_update(params, average, 1 - kept)
