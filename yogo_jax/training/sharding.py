"""Where everything lies: one mesh of the axes (data, fsdp), and one rule for the parameters.

The batch is split over both axes. Along `fsdp` the devices also share out the large parameters, with all that
has their shape (moments, running average): each keeps a slice of them between steps, and a step gathers the
parameters first.
The same code serves one CPU and a pod: a mesh of one device is a mesh.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXES = ("data", "fsdp")


def make_mesh(fsdp: int = 1, devices: Sequence[Any] | None = None) -> Mesh:
    """All devices of all processes (or `devices`) as a mesh (data, fsdp); `fsdp` divides their number."""
    devices = jax.devices() if devices is None else devices
    shape = (len(devices) // fsdp, fsdp)
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * 2, devices=devices)


def most_devices(limit: int, batch: int, accumulate: int = 1, fsdp: int = 1) -> int:
    """The most devices, up to `limit`, that a batch worked off in `accumulate` parts divides among, whole groups of
    `fsdp`; 1 where none will do."""
    fitting = (n for n in range(limit, 0, -1) if n % max(fsdp, 1) == 0 and batch % (n * max(accumulate, 1)) == 0)
    return next(fitting, 1)


def parameter_spec(shape: Sequence[int], fsdp: int, min_size: int) -> PartitionSpec:
    """The rule: an array of `min_size` elements or more is split along its longest axis that `fsdp` divides."""
    axes = [axis for axis, size in enumerate(shape) if size % fsdp == 0]
    if fsdp == 1 or math.prod(shape) < min_size or not axes:
        return PartitionSpec()
    longest = max(axes, key=lambda axis: shape[axis])
    return PartitionSpec(*(None,) * longest, "fsdp")


def state_shardings(state: Any, mesh: Mesh, min_size: int) -> Any:
    """The rule for every leaf of a training state (arrays or their shapes)."""
    return jax.tree.map(
        lambda leaf: NamedSharding(mesh, parameter_spec(leaf.shape, mesh.shape["fsdp"], min_size)), state
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The first axis split over all devices."""
    return NamedSharding(mesh, PartitionSpec(AXES))


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's part of a batch, [B / processes, …] each, as global arrays [B, …] over the mesh."""
    sharding = batch_sharding(mesh)
    return {name: jax.make_array_from_process_local_data(sharding, value) for name, value in batch.items()}
