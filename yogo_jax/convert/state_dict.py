"""PyTorch's weight files: .pth and .pt (never unpickled as code), and .safetensors.

Tensors are handed out as NumPy arrays. What wraps them is recognised by its shape, not by a list of known
trainers: any nesting of mappings is looked through, and any prefix before the family's names is taken off.
"""

import json
import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from yogo_jax.configuration import ModelConfig, model_config
from yogo_jax.convert.infer import FIRST
from yogo_jax.errors import UserError
from yogo_jax.files import written_aside

Tensors = dict[str, np.ndarray]
BOOKKEEPING = ("n_averaged", "initted", "step")
"""Counters that averaging wrappers keep beside the weights."""
TORCH_SUFFIXES = (".pth", ".pt", ".ckpt")


def read(path: Path) -> tuple[dict[str, Any], ModelConfig | None]:
    """Everything in a file, as nested mappings down to arrays, and the config that the file names, if it does.

    Raises:
      UserError: no such file, not readable, or holding more than tensors and plain values.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weight file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in TORCH_SUFFIXES:
        return _read_torch(path), None
    raise UserError(f"{path}: a weight file ends in .safetensors, {', '.join(TORCH_SUFFIXES)}")


def _read_safetensors(path: Path) -> tuple[Tensors, ModelConfig | None]:
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        config = json.loads(header["config"]) if "config" in header else None
    except (SafetensorError, OSError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from error
    return tensors, model_config(config) if isinstance(config, dict) else None


def _read_torch(path: Path) -> dict[str, Any]:
    torch = require_torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how the file was pickled: it loads, or it does not
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: holds more than tensors and plain values, and reading that would run its code; "
            "save its state_dict() alone"
        ) from error
    except Exception as error:  # a damaged file can fail in any way
        raise UserError(f"{path}: not a readable PyTorch file ({_first_sentence(error)})") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a state dict")
    try:
        return _arrays(content, torch)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _first_sentence(error: Exception) -> str:
    return str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__


def _arrays(content: Mapping, torch: Any) -> dict[str, Any]:
    """Nested mappings with NumPy arrays for tensors, and only those."""
    result: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            result[str(name)] = _arrays(value, torch)
        elif isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_quantized:
            value = value.detach()
            try:
                result[str(name)] = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
            except (TypeError, RuntimeError) as error:
                raise UserError(f"{name} holds no numbers that can be read ({value.dtype})") from error
    return result


def copies(content: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Tensors]]:
    """Each set of weights in a file's content: where it stands there, and its tensors without a prefix."""
    tensors = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
    prefixes = [name.removesuffix(FIRST) for name in tensors if name == FIRST or name.endswith(f".{FIRST}")]
    for prefix in prefixes:
        yield (
            where + prefix,
            {
                # A lone prefix is every tensor's; of copies side by side, each has what begins with its own.
                name.removeprefix(prefix): value
                for name, value in tensors.items()
                if (len(prefixes) == 1 or name.startswith(prefix)) and name not in BOOKKEEPING
            },
        )
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from copies(value, f"{where}{name}.")


def choose(content: Mapping[str, Any], key: str | None = None) -> tuple[str, Tensors]:
    """The set of weights at `key`, or the only one, or the only average among several.

    Raises:
      UserError: there is none of the family, none at `key`, or no telling which.
    """
    found = dict(copies(content))
    if not found:
        some = ", ".join(list(content)[:3])
        raise UserError(f"no {FIRST} in it ({some} …): not a network of this family, or --rename-file is needed")
    labels = ", ".join(repr(label.rstrip(".")) for label in found)
    if key is not None:
        chosen = [label for label in found if label.rstrip(".") == key]
        if not chosen:
            raise UserError(f"no weights at key {key!r}: there are some at {labels}")
    else:
        chosen = list(found)
        if len(chosen) > 1:
            chosen = [label for label in chosen if "ema" in label.lower()]
        if len(chosen) != 1:
            raise UserError(f"several sets of weights in it, at {labels}: choose one with --key")
    return chosen[0].rstrip("."), found[chosen[0]]


def write(path: Path, tensors: Mapping[str, np.ndarray], config: ModelConfig) -> None:
    """Write a PyTorch state dict, aside first and then moved into place. Safetensors name the config as well."""
    with written_aside(path) as aside:
        try:
            if path.suffix == ".safetensors":
                save_file(dict(tensors), aside, {"format": "pt", "config": json.dumps(asdict(config))})
            else:
                torch = require_torch()
                torch.save({name: torch.from_numpy(array) for name, array in tensors.items()}, aside)
        except (SafetensorError, RuntimeError) as error:  # a full disk, among others
            raise UserError(f"{path}: cannot write weights here: {error}") from error
        aside.chmod(0o644)  # safetensors makes it for its owner alone


def require_torch() -> Any:
    """PyTorch, which alone reads and writes its own files.

    Raises:
      UserError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise UserError('PyTorch reads and writes .pth and .pt: pip install "yogo-jax[torch]"') from error
    return torch
