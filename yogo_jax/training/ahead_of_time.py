"""Compile a training step, or inference, for a TPU slice that is not there, and say what it takes of each chip.

The compiler comes with `pip install yogo-jax[tpu]` and runs on any x86-64 Linux; no chip is touched and nothing is
executed. What it says of memory and of collectives is what a slice would do; of time it says nothing. "cpu:8" stands
for eight devices made of this machine's cores: what each would have to do, and to send, without a TPU's compiler.
"""

import contextlib
import dataclasses
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import topologies
from jax.extend.core import jaxprs_in_params
from jax.sharding import Mesh, PartitionSpec

from yogo_jax.configuration import Config
from yogo_jax.errors import UserError
from yogo_jax.imaging import SCALE
from yogo_jax.training.guards import check_config
from yogo_jax.training.optimiser import make_optimiser
from yogo_jax.training.sharding import AXES, batch_sharding, make_mesh, replicated
from yogo_jax.training.state import abstract_state
from yogo_jax.training.step import compile_train_step

HBM = {"v4": 32 << 30, "v5e": 16 << 30, "v5p": 95 << 30, "v6e": 32 << 30}
"""Bytes of memory of a chip, by generation (cloud.google.com/tpu/docs)."""

CLIP_FRAMES = 7
"""Frames of the data sets' clips."""

_COLLECTIVES = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
_ITEM_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "s64": 8, "u64": 8, "f64": 8}


@dataclass(frozen=True)
class Compiled:
    """What a compiled program takes.

    Attributes:
      chips: of the topology.
      batch: examples of one step, over all chips.
      arguments: bytes on one chip of what goes in, and of what comes out where it does not take its place.
      temporaries, code: bytes on one chip while it runs.
      hbm: bytes that one chip has; of "cpu", its part of the machine's.
      multiply_adds: of convolutions and matrix products, one step, over all chips, recomputation included.
      collectives: kind → (how many, bytes), outside of loops; and those in loops, counted once, as "KIND in loops".
      operations: kind → (how many, bytes of their results) of what moves data about, loops counted once: hand-written
        kernels, gathers, scatters, copies and transposes.
    """

    chips: int
    batch: int
    arguments: dict[str, int]
    temporaries: int
    code: int
    hbm: int
    multiply_adds: int
    collectives: dict[str, tuple[int, int]]
    operations: dict[str, tuple[int, int]]

    @property
    def total(self) -> int:
        """Bytes on one chip."""
        return sum(self.arguments.values()) + self.temporaries + self.code

    def __str__(self) -> str:
        lines = [f"chips          {self.chips}", f"global batch   {self.batch} ({self.batch / self.chips:g} a chip)"]
        parts = {**self.arguments, "temporaries": self.temporaries, "code": self.code}
        lines += [f"  {name:<13}{size / 2**20:>10,.1f} MiB a chip" for name, size in parts.items()]
        share = 100 * self.total / self.hbm
        verdict = "fits" if self.total <= self.hbm else "DOES NOT FIT"
        lines.append(
            f"  in all       {self.total / 2**20:>10,.1f} MiB of {self.hbm / 2**20:,.0f} ({share:.0f} %): {verdict}"
        )
        multiply_adds = self.multiply_adds / 1e12
        lines.append(f"multiply-adds  {multiply_adds:.3f} T a step, {multiply_adds / self.chips:.3f} T a chip")
        lines += [
            f"{kind:<22}{count:>5} ×, {size / 2**20:,.2f} MiB a step"
            for kind, (count, size) in self.collectives.items()
        ] or ["no collectives"]
        lines += [
            f"{kind:<22}{count:>5} in the program, {size / 2**20:,.1f} MiB"
            for kind, (count, size) in self.operations.items()
        ]
        return "\n".join(lines)


def topology_devices(topology: str) -> list[Any]:
    """The devices of a TPU slice, such as "v5e:16x16", or so many CPU devices, "cpu:8", to compile for.

    Raises:
      UserError: no compiler here, or no such topology.
    """
    if on_host := re.fullmatch(r"cpu:([1-9]\d{0,3})", topology):
        return _host_devices(int(on_host[1]))
    generation = topology.partition(":")[0]
    if generation not in HBM or not re.fullmatch(r"\w+:\d+(x\d+)+", topology):
        raise UserError(
            f"--topology {topology}: it takes GENERATION:AxB[xC] of {', '.join(HBM)}, such as v5e:16x16; or cpu:N"
        )
    # The compiler asks Google's metadata server what machine it is on, unless it is told, and then locks chips.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-8")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    whole_chips = {"chip_config_name": "megacore"} if generation == "v4" else {}  # else each of its two cores counts
    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=topology, **whole_chips).devices)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        if isinstance(error, jax.errors.JaxRuntimeError):  # the compiler's own
            raise UserError(f"--topology {topology}: {reason}") from error
        raise UserError(f"no TPU compiler here ({reason}): pip install -e '.[tpu]' brings it") from error


def _host_devices(count: int) -> list[Any]:
    with contextlib.suppress(RuntimeError):  # JAX has started, with as many as there are
        jax.config.update("jax_num_cpu_devices", count)
    devices = jax.devices("cpu")
    if len(devices) < count:
        raise UserError(f"--topology cpu:{count}: JAX has started with {len(devices)} CPU devices")
    return devices[:count]


def _chip_memory(topology: str, chips: int) -> int:
    if generation_memory := HBM.get(topology.partition(":")[0]):
        return generation_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // chips


def compile_for(config: Config, topology: str, batch_per_chip: int = 1) -> Compiled:
    """Compile `config`'s training step for a slice, each chip with its own examples. Takes minutes.

    The batch is `batch_per_chip` for each chip, whatever `data.batch` says.

    Raises:
      UserError: a topology or a config that cannot work, or a step that the chips have no memory for.
    """
    devices = topology_devices(topology)
    data = dataclasses.replace(config.data, batch=batch_per_chip * len(devices))
    config = dataclasses.replace(config, data=data)
    check_config(config, len(devices))
    mesh = make_mesh(config.train.fsdp, devices)
    network, optimiser = config.model.build(), make_optimiser(config.optim, config.train.steps)
    averaged = config.optim.ema_decay > 0
    state = abstract_state(network, optimiser, averaged, mesh, config.train.fsdp_min_size)
    batch = _abstract_batch(config, mesh)
    step = compile_train_step(network, optimiser, config.optim, mesh, state)
    arguments = {
        "parameters": state.params,
        "average": state.average,
        "optimiser": state.opt_state,
        "batch": batch,
    }
    return _compile(step.trace(state, batch), topology, devices, config.data.batch, arguments)


def compile_inference(config: Config, topology: str, size: tuple[int, int], batch_per_chip: int = 1) -> Compiled:
    """Compile `config`'s network for a slice, each chip with its own frames: four a clip, of `size` (height, width).

    Raises:
      UserError: a topology that cannot work, or a network that the chips have no memory for.
    """
    devices = topology_devices(topology)
    mesh, network = make_mesh(devices=devices), config.model.build()
    shape = (batch_per_chip * len(devices), CLIP_FRAMES // 2 + 1, *size, 3)
    frames = jax.ShapeDtypeStruct(shape, np.float32, sharding=batch_sharding(mesh))
    params = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated(mesh)),
        jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((1, *shape[1:]), np.float32))["params"],
    )

    def infer(params: Any, frames: jax.Array) -> jax.Array:
        return network.apply({"params": params}, frames).image  # type: ignore[union-attr]

    spread = PartitionSpec(AXES)
    local = jax.shard_map(infer, mesh=mesh, in_specs=(PartitionSpec(), spread), out_specs=spread, check_vma=False)
    traced = jax.jit(local).trace(params, frames)
    images = jax.eval_shape(local, params, frames)
    result = jax.ShapeDtypeStruct(images.shape, images.dtype, sharding=batch_sharding(mesh))
    arguments = {"parameters": params, "frames": frames, "result": result}
    return _compile(traced, topology, devices, shape[0], arguments)


def _compile(traced: Any, topology: str, devices: list[Any], batch: int, arguments: dict[str, Any]) -> Compiled:
    hbm = _chip_memory(topology, len(devices))
    try:
        compiled = traced.lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        needed = re.search(r"\(([\d.]+)G\) exceeds available HBM \(([\d.]+)G\)", str(error))
        said = f" (temporaries of {needed[1]} GiB a chip, {needed[2]} free)" if needed else ""
        raise UserError(
            f"{batch} examples on {len(devices)} chips of {hbm >> 30} GiB do not fit{said}: "
            "a smaller --batch-per-chip, optim.accumulate or model.remat=True; smaller frames for --inference"
        ) from error
    memory, hlo = compiled.memory_analysis(), compiled.as_text()
    return Compiled(
        chips=len(devices),
        batch=batch,
        arguments={name: _local_bytes(tree) for name, tree in arguments.items()},
        temporaries=memory.temp_size_in_bytes,
        code=memory.generated_code_size_in_bytes,
        hbm=hbm,
        multiply_adds=multiply_adds(traced.jaxpr.jaxpr),
        collectives=collectives(hlo),
        operations=operations(hlo),
    )


def multiply_adds(jaxpr: Any, platform: str | None = None) -> int:
    """Multiply-adds of the convolutions and matrix products of a program, loops and devices counted in full.

    Of what platforms do in different ways it is the one of `platform`, such as "cpu". Without one, the way with the
    most of them counts: convolutions are direct ones then, not the Winograd of CPUs.
    """
    return sum(_equation_multiply_adds(equation, platform) for equation in jaxpr.eqns)


def _equation_multiply_adds(equation: Any, platform: str | None) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return math.prod(equation.outvars[0].aval.shape) * math.prod(shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[params["dimension_numbers"].rhs_spec[0]]
        return math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // outputs
    inner = [multiply_adds(jaxpr, platform) for jaxpr in jaxprs_in_params(params)]
    if name == "pallas_call":  # sampling by products; the same work without them is another platform's alternative
        return 0
    if name == "cond":  # of alternatives, such as one for each platform, one runs
        own = [platforms is None or platform in platforms for platforms in params.get("branches_platforms") or ()]
        return inner[own.index(True)] if platform and own else max(inner)
    times = params["length"] if name == "scan" else params["mesh"].size if name == "shard_map" else 1
    return times * sum(inner)


def collectives(hlo: str) -> dict[str, tuple[int, int]]:
    """Kind → (how many, bytes of their results on one device) in a compiled program's text."""
    found: dict[str, tuple[int, int]] = {}
    for kind, size in _collectives(hlo):
        count, total = found.get(kind, (0, 0))
        found[kind] = count + 1, total + size
    return dict(sorted(found.items()))


def _collectives(hlo: str) -> Iterator[tuple[str, int]]:
    entry = False
    for line in hlo.splitlines():
        if line and not line[0].isspace():  # a computation starts, or ends
            entry = line.startswith("ENTRY")
        match = re.search(rf"= (.*?) ({_COLLECTIVES})(-start)?\(", line)
        if match:
            shapes = [_shape_bytes(*shape) for shape in re.findall(r"(\w+)\[([\d,]*)\]", match[1])]
            if match[3] and match[2] != "all-reduce":  # an asynchronous start's result holds its operands too
                shapes = shapes[len(shapes) // 2 :]
            yield match[2] if entry else f"{match[2]} in loops", sum(shapes)


def operations(hlo: str) -> dict[str, tuple[int, int]]:
    """Kind → (how many, bytes of their results) of what moves data about in a compiled program's text.

    Copies are those that an operation waits for, not the asynchronous ones between memories.
    """
    found = {kind: (0, 0) for kind in ("kernel", "gather", "scatter", "copy", "transpose")}
    for line in hlo.splitlines():
        match = re.search(r"= (.*?) (gather|scatter|copy|transpose|custom-call)\(", line)
        if match and (match[2] != "custom-call" or "tpu_custom_call" in line):
            kind = "kernel" if match[2] == "custom-call" else match[2]
            shapes = re.findall(r"(\w+)\[([\d,]*)\]", match[1])
            found[kind] = found[kind][0] + 1, found[kind][1] + sum(_shape_bytes(*shape) for shape in shapes)
    return found


def _shape_bytes(dtype: str, dimensions: str) -> int:
    return _ITEM_BYTES.get(dtype, 4) * math.prod(int(size) for size in dimensions.split(",") if size)


def _abstract_batch(config: Config, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    height, width = config.data.patch
    shapes = {
        "lr": (CLIP_FRAMES // 2 + 1, height, width, 3),
        "hr": (CLIP_FRAMES, SCALE * height, SCALE * width, 3),
    }
    sharding = batch_sharding(mesh)
    return {
        name: jax.ShapeDtypeStruct((config.data.batch, *shape), np.uint8, sharding=sharding)
        for name, shape in shapes.items()
    }


def _local_bytes(tree: Any) -> int:
    """Bytes of one device's share."""
    return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
