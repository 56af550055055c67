"""Weight files: safetensors that know their network.

A file holds the parameters under their path in the network ("fe/conv_first/kernel"), those of a chain of blocks stacked
along their first axis, and in its metadata the network's config as JSON, so that nothing else is needed to run it.
Reading one runs no code.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from yogo_jax.configuration import ModelConfig, model_config
from yogo_jax.errors import UserError
from yogo_jax.files import written_aside

Params = Mapping[str, Any]


def default_weights() -> Path:
    """The packaged default model, what `yogo upscale` runs when it is told nothing else."""
    return Path(str(resources.files("yogo_jax") / "pretrained" / "default.safetensors"))


@functools.cache
def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Path → shape of every parameter of a network."""
    frames = jax.ShapeDtypeStruct((1, 2, 8, 8, 3), jnp.float32)
    model = config.build()
    variables = jax.eval_shape(lambda frames: model.init(jax.random.key(0), frames), frames)
    flat: dict[str, Any] = dict(flatten_dict(variables["params"], sep="/"))
    return {path: leaf.shape for path, leaf in flat.items()}


def save_weights(
    path: str | Path,
    config: ModelConfig,
    params: Params,
    metadata: Mapping[str, str] | None = None,
    dtype: type[np.floating] = np.float32,
) -> None:
    """Write parameters and their network's config, aside first and then moved into place.

    Args:
      metadata: more to keep in the file, such as how it was trained.
      dtype: that the file holds; float16 halves it, at a rounding far below a grey level.
    """
    path = Path(path)
    flat = {name: np.ascontiguousarray(leaf, dtype) for name, leaf in flatten_dict(params, sep="/").items()}
    header = {**(metadata or {}), "config": json.dumps(dataclasses.asdict(config))}
    with written_aside(path) as aside:
        try:
            save_file(flat, aside, header)
        except SafetensorError as error:  # a full disk, among others
            raise UserError(f"{path}: cannot write weights here: {error}") from error
        aside.chmod(0o644)  # it is made for its owner alone


def load_weights(path: str | Path | None = None) -> tuple[ModelConfig, dict[str, Any]]:
    """Read a weight file (None is the packaged default model): its network's config, and its parameters.

    Raises:
      UserError: no such file, not a weight file of this project, or not the tensors of the network it names.
    """
    path = default_weights() if path is None else Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such weight file")
    if path == default_weights() and _sha256(path) != path.with_suffix(".sha256").read_text().split()[0]:
        raise UserError(f"{path}: the packaged model is damaged; install the package again")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from error
    if "config" not in header:
        raise UserError(f"{path}: names no network; weights of other projects go through `yogo convert` first")
    try:
        values = json.loads(header["config"])
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: the config in its metadata is damaged ({type(error).__name__})") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: the config in its metadata is damaged (no object)")
    try:
        config = model_config(values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if "conv_first.weight" in flat:
        raise UserError(f"{path}: its tensors have PyTorch's names; `yogo convert` gives them ours")
    check_shapes(path, {name: tensor.shape for name, tensor in flat.items()}, parameter_shapes(config))
    for name, tensor in flat.items():
        if not np.issubdtype(tensor.dtype, np.floating) or not np.isfinite(tensor).all():
            raise UserError(f"{path}: {name!r} holds other than finite real numbers")
    return config, unflatten_dict({tuple(name.split("/")): np.float32(tensor) for name, tensor in flat.items()})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_shapes(path: str | Path, found: Mapping[str, tuple], wanted: Mapping[str, tuple]) -> None:
    """Compare parameters with a network's.

    Raises:
      UserError: the first that is missing, left over, or of another shape, and how many there are.
    """
    problems = [f"{name!r} is missing" for name in wanted if name not in found]
    problems += [f"{name!r} belongs to no layer" for name in found if name not in wanted]
    problems += [
        f"{name!r} is {tuple(found[name])}, not {tuple(wanted[name])}"
        for name in wanted
        if name in found and tuple(found[name]) != tuple(wanted[name])
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"{path}: weights of another network: {problems[0]}{more}")
