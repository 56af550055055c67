"""What can be evaluated: networks from their weights, and the baselines, under one interface."""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict

from yogo_jax.configuration import ModelConfig, model_config
from yogo_jax.errors import UserError
from yogo_jax.evaluation import baselines
from yogo_jax.info import cost
from yogo_jax.weights import check_shapes, default_weights, load_weights, parameter_shapes


@dataclass(frozen=True)
class Model:
    """Something that turns frames [B, N, H, W, 3] in [0, 1] into frames [B, T, 4H, 4W, 3], not clamped.

    Attributes:
        name: heads its row of the table.
        apply: (parameters, frames) → frames; traced by JAX.
        parameters: a tree of arrays, `{}` for a baseline.
        rate: 2 when it is given every other frame (T = 2N − 1), 1 when it is given all (T = N).
        identity: plain values by which to find it again, and to tell its results from another's.
        module: the Flax module of a network; its intermediates can be looked at.
        size: number of parameters, the auxiliary heads' included, as the paper counts.
        multiply_adds: of its convolutions on Table 2's input (4 frames of 180×144), as the paper counts.
    """

    name: str
    apply: Callable[[Any, jax.Array], jax.Array]
    parameters: Any = field(default_factory=dict, repr=False)
    rate: int = 2
    identity: dict[str, Any] = field(default_factory=dict)
    module: nn.Module | None = None
    size: int = 0
    multiply_adds: int = 0


def _baseline(function: Callable[[jax.Array], jax.Array], rate: int) -> Model:
    name = function.__name__
    return Model(name, lambda _, frames: function(frames), rate=rate, identity={"baseline": name})


BASELINES = {
    model.name: model
    for model in (_baseline(baselines.bicubic, 1), _baseline(baselines.blend, 2), _baseline(baselines.trilinear, 2))
}
"""The models that need no weights, by name."""


def network(weights: str | Path | None = None, config: ModelConfig | None = None, name: str | None = None) -> Model:
    """A network from a weight file; None is the packaged model.

    Args:
        config: run the weights in this network instead of the one that the file names.
        name: heads its row of the table; by default the network, its filters and the file's name.

    Raises:
        UserError: unreadable weights, or weights of another network than `config`'s.
    """
    path = Path(weights or default_weights())
    named, parameters = load_weights(path)
    if config is not None:
        shapes = jax.tree.map(np.shape, flatten_dict(parameters, sep="/"))
        check_shapes(path, shapes, parameter_shapes(config))
    config = config or named
    module = config.build()

    def apply(parameters: Any, frames: jax.Array) -> jax.Array:
        output: Any = module.apply({"params": parameters}, frames)
        return output.image

    costs = cost(module)
    return Model(
        name=name or f"{type(module).__name__} ({config.filters}), {path.stem}",
        apply=apply,
        parameters=parameters,
        identity={
            "weights": str(path.resolve()),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "config": dataclasses.asdict(config),
        },
        module=module,
        size=costs.parameters,
        multiply_adds=costs.multiply_adds,
    )


def of_results(model: dict[str, Any]) -> Model:
    """The model that a run's `results.json` describes under "model".

    Raises:
        UserError: its weights have moved or changed.
    """
    name = model["name"]
    if "baseline" in model:
        return dataclasses.replace(BASELINES[model["baseline"]], name=name)
    found = network(model["weights"], model_config(model["config"]), name)
    if found.identity["sha256"] != model["sha256"]:
        raise UserError(f"{model['weights']}: not the weights that {name} was scored with; evaluate it again")
    return found
