"""Several processes as one run: on a Slurm allocation, a Cloud TPU slice, or addresses given by hand."""

import os

import jax

from yogo_jax.errors import UserError

ADDRESS, PROCESSES, PROCESS = "YOGO_COORDINATOR", "YOGO_PROCESSES", "YOGO_PROCESS"


def initialise() -> None:
    """Join the run's other processes, if there are any. Call it before anything touches a device.

    The environment says how: YOGO_COORDINATOR (host:port of process 0), YOGO_PROCESSES and YOGO_PROCESS where
    they are set; else what JAX finds of Slurm's or Cloud TPU's.

    Raises:
      UserError: an incomplete environment, or processes that do not find each other.
    """
    given = {name: os.environ.get(name, "") for name in (ADDRESS, PROCESSES, PROCESS)}
    try:
        if any(given.values()):
            _check(given)
            jax.distributed.initialize(given[ADDRESS], int(given[PROCESSES]), int(given[PROCESS]))
        elif os.environ.get("SLURM_NTASKS") != "1":  # JAX would leave a lone task one of its node's GPUs
            jax.distributed.initialize()
    except ValueError as error:
        if "coordinator_address should be defined" not in str(error):  # no cluster: one process
            raise
    except RuntimeError as error:
        raise UserError(f"the run's processes do not find each other: {str(error).splitlines()[0]}") from error


def _check(given: dict[str, str]) -> None:
    for name, value in given.items():
        if not value:
            raise UserError(f"{name} is not set: {ADDRESS}, {PROCESSES} and {PROCESS} go together")
        if name != ADDRESS and not value.isdecimal():
            raise UserError(f"{name}={value}: it takes a number")
    if ":" not in given[ADDRESS]:
        raise UserError(f"{ADDRESS}={given[ADDRESS]}: it takes host:port")
    if int(given[PROCESS]) >= int(given[PROCESSES]):
        raise UserError(f"{PROCESS}={given[PROCESS]}: it counts from 0 to {int(given[PROCESSES]) - 1}")


def is_primary() -> bool:
    """Whether this process writes the run's logs, pictures and weights."""
    return jax.process_index() == 0
