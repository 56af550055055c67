"""A CPU as several devices.

XLA:CPU spreads one program's large operations over the cores, and leaves the small ones to one. Work in parts that
need nothing of each other (tiles of a video, examples of a batch) goes faster with a device for each core:
docs/performance.md has figures.
"""

import functools
import os
from collections.abc import Iterable
from typing import Any

_ALL_CORES = (("xla_cpu_experimental_ynn_fusion_type", "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"),)


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def split_cpu(most: int) -> None:
    """Have JAX take the CPU for `most` devices, or as many as it has cores if that is less.

    Call it before JAX touches a device: later nothing changes. What the user has set (JAX_NUM_CPU_DEVICES, XLA_FLAGS)
    stays, and so do the processes of a distributed run, which may share a machine.
    """
    import jax  # not where only the cores are counted, in processes that fork

    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if forced or getattr(jax.config, "jax_num_cpu_devices", -1) >= 0 or jax.distributed.is_initialized():
        return
    try:
        jax.config.update("jax_num_cpu_devices", max(1, min(most, cores())))
    except RuntimeError as error:
        if "before backends are initialized" not in str(error):
            raise


def spare_cores() -> bool:
    """Whether the CPU has more cores than JAX has devices there, so that a program may spread its work over several."""
    import jax

    try:
        return cores() > jax.local_device_count(backend="cpu")
    except RuntimeError:  # JAX was told to leave the CPU alone: nothing will run there
        return True


def compiler_options(devices: Iterable[Any]) -> dict[str, Any] | None:
    """XLA's for an outermost program on these devices: where a CPU has twice the cores, convolutions are to use them.

    The library that XLA:CPU has for convolutions leaves those of fewer than 48 channels on one core, unless images are
    wider than some 500 pixels. Without it they go to Eigen, which takes all cores, at two thirds of the speed on each.
    """
    devices = list(devices)
    spare = devices[0].platform == "cpu" and cores() >= 2 * len(devices)
    return dict(_ALL_CORES) if spare and _known(_ALL_CORES) else None


@functools.cache
def _known(options: tuple[tuple[str, str], ...]) -> bool:
    """Whether this version of XLA takes them."""
    import jax

    try:
        jax.jit(lambda: 0, compiler_options=dict(options))()
    except jax.errors.JaxRuntimeError:
        return False
    return True
