"""What a run carries from step to step."""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from yogo_jax.training.sharding import state_shardings

_INIT_FRAMES = (1, 2, 16, 16, 3)  # [B, N, H, W, C]; the parameters do not depend on it

# Run once: hundreds of random generators take a CPU's compiler six times as long to optimise as not to.
_COMPILE_FAST = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@flax.struct.dataclass
class TrainState:
    """Everything that a checkpoint must hold of the network and its optimiser.

    Attributes:
      step: steps taken, the skipped ones among them; the next batch is the data's number `step`.
      params: of the network, float32.
      average: running average of `params`, or None.
      opt_state: of the optimiser.
      skipped: steps that a non-finite loss or gradient spoiled.
      skipped_in_a_row: of these, those since the last good step.
    """

    step: jax.Array
    params: Any
    average: Any
    opt_state: optax.OptState
    skipped: jax.Array
    skipped_in_a_row: jax.Array

    @property
    def best_params(self) -> Any:
        """The parameters to evaluate and to publish: the running average where there is one."""
        return self.params if self.average is None else self.average


def initial_state(
    network: nn.Module, optimiser: optax.GradientTransformation, seed: jax.Array | int, averaged: bool
) -> TrainState:
    """The state before the first step."""
    params = network.init(jax.random.key(seed), jnp.zeros(_INIT_FRAMES))["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        average=jax.tree.map(jnp.copy, params) if averaged else None,
        opt_state=optimiser.init(params),
        skipped=jnp.zeros((), jnp.int32),
        skipped_in_a_row=jnp.zeros((), jnp.int32),
    )


def abstract_state(
    network: nn.Module, optimiser: optax.GradientTransformation, averaged: bool, mesh: Mesh, min_size: int
) -> TrainState:
    """Shapes, types and shardings of the state, nothing computed."""
    shapes = jax.eval_shape(lambda: initial_state(network, optimiser, 0, averaged))
    shardings = state_shardings(shapes, mesh, min_size)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes, shardings
    )


def new_state(
    network: nn.Module, optimiser: optax.GradientTransformation, seed: int, averaged: bool, abstract: TrainState
) -> TrainState:
    """`initial_state` laid out as `abstract` says: the same numbers on any mesh."""
    init = jax.jit(
        initial_state, static_argnums=(0, 1, 3), out_shardings=shardings_of(abstract), compiler_options=_COMPILE_FAST
    )
    return init(network, optimiser, seed, averaged)


def shardings_of(abstract: TrainState) -> TrainState:
    """The shardings of an abstract state, as `jax.jit` takes them."""
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)
