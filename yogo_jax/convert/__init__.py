"""Weights between PyTorch and JAX, every tensor exactly once or not at all.

Needs no PyTorch but to read and write its own files (`yogo_jax.convert.state_dict`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from yogo_jax.configuration import ModelConfig
from yogo_jax.convert.names import torch_names
from yogo_jax.weights import parameter_shapes


@dataclass(eq=False)
class Mismatch(Exception):
    """Tensors that do not make up the network: names that are missing, left over, or of another shape."""

    missing: list[str]
    left_over: list[str]
    wrong: list[str]

    def __str__(self) -> str:
        lines = []
        for title, names in (
            ("missing", self.missing),
            ("left over", self.left_over),
            ("not as it should be", self.wrong),
        ):
            if names:
                lines += [f"{title} ({len(names)}):", *(f"  {name}" for name in names)]
        return "\n".join(lines)


def torch_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name → shape of every tensor of a network's PyTorch state dict."""
    shapes = {}
    for path, stacked in parameter_shapes(config).items():
        names, shape = torch_names(path, stacked, config)
        shapes |= dict.fromkeys(names, _torch_shape(shape))
    return shapes


def to_flax(tensors: Mapping[str, np.ndarray], config: ModelConfig) -> dict[str, Any]:
    """A PyTorch state dict → the parameters of the Flax network, float32.

    Raises:
      Mismatch: the tensors are not this network's.
    """
    shapes = torch_shapes(config)
    wrong = []
    for name, wanted in shapes.items():
        if name in tensors:
            found = tensors[name]
            if found.shape != wanted:
                wrong.append(f"{name} is {found.shape}, not {wanted}")
            elif found.dtype.kind != "f" and found.dtype.name != "bfloat16":
                wrong.append(f"{name} is {found.dtype}, not floating point")
    missing = [name for name in shapes if name not in tensors]
    left_over = sorted(set(tensors) - set(shapes))
    if missing or left_over or wrong:
        raise Mismatch(missing, left_over, wrong)
    flat = {}
    for path, stacked in parameter_shapes(config).items():
        names, shape = torch_names(path, stacked, config)
        arrays = [_to_flax(tensors[name], len(shape)) for name in names]
        flat[tuple(path.split("/"))] = arrays[0] if shape == stacked else np.stack(arrays)
    return unflatten_dict(flat)


def to_torch(params: Mapping[str, Any], config: ModelConfig) -> dict[str, np.ndarray]:
    """The parameters of a Flax network, or anything in their shape such as gradients → a PyTorch state dict."""
    tensors = {}
    for path, leaf in flatten_dict(params, sep="/").items():
        array = np.asarray(leaf, np.float32)
        names, shape = torch_names(path, array.shape, config)
        arrays = [array] if shape == array.shape else array
        tensors |= {name: _to_torch(part) for name, part in zip(names, arrays, strict=True)}
    return tensors


# Kernels of a layer are [k, k, C, K] here and [K, C, k, k] there; a dense layer is a 1×1 convolution there.
def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    match shape:
        case (height, width, inputs, outputs):
            return outputs, inputs, height, width
        case (inputs, outputs):
            return outputs, inputs, 1, 1
    return shape


def _to_flax(array: np.ndarray, rank: int) -> np.ndarray:
    array = np.asarray(array, np.float32)
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    return np.ascontiguousarray(array[0, 0] if rank == 2 else array)


def _to_torch(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        array = array[None, None]
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array)
