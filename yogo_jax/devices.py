"""A CPU as several devices.

XLA:CPU spreads one program's large operations over the cores, and leaves the small ones to one. Work in parts that
need nothing of each other (tiles of a video, examples of a batch) goes faster with a device for each core:
docs/performance.md has figures.
"""

import os


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
