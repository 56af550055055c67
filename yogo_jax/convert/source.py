"""Weights of any kind that this project reads, as Flax parameters."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from yogo_jax.configuration import ModelConfig
from yogo_jax.convert import checkpoint, state_dict, to_flax
from yogo_jax.convert.infer import infer_config
from yogo_jax.convert.renaming import Renaming
from yogo_jax.errors import UserError
from yogo_jax.weights import load_weights


@dataclass(frozen=True)
class Source:
    """Where weights came from, their network, their Flax parameters, and what was assumed in reading them."""

    framework: Literal["jax", "torch"]
    config: ModelConfig
    params: Any
    notes: list[str] = field(default_factory=list)


def read_weights(
    path: Path, config: ModelConfig | None = None, key: str | None = None, rename_file: Path | None = None
) -> Source:
    """Read a weight file of this project, a PyTorch one, or the newest checkpoint of a run.

    Args:
      config: the network of a PyTorch file, instead of the one that its tensors tell.
      key: which set of weights to take of a PyTorch file that holds several.
      rename_file: see `Renaming`.

    Raises:
      UserError: nothing there, unreadable, not of this family, or a config for weights that have their own.
      Mismatch: tensors that are not the network's.
    """
    content, named = ({}, None) if path.is_dir() else state_dict.read(path)
    ours = path.is_dir() or (named is not None and any("/" in name for name in content))
    if ours:
        for option, value in (("--config", config), ("--key", key), ("--rename-file", rename_file)):
            if value is not None:
                raise UserError(f"{path}: it knows its network and its names, and takes no {option}")
        return Source("jax", *(checkpoint.read(path) if path.is_dir() else load_weights(path)))
    if rename_file:
        content = Renaming(rename_file)(content)
    notes = []
    try:
        label, tensors = state_dict.choose(content, key)
        if label:
            notes.append(f"weights at {label!r}")
        config = config or named
        if config is None:
            config, assumed = infer_config(tensors)
            fields = asdict(config)
            if assumed:
                told = ", ".join(f"{name}={fields[name]!r}" for name in assumed)
                notes.append(f"no tensor tells {told}: --config sets it")
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise UserError(f"{path}: {name} holds other than finite numbers")
    return Source("torch", config, to_flax(tensors, config), notes)
