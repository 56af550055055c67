"""`yogo bench input`: examples a second that the input gives, against what a training step eats."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import jax

from data_pipelines.input import make_train_input
from yogo_jax.cli.arguments import at_least
from yogo_jax.configuration import Config, load_config
from yogo_jax.devices import cores, split_cpu
from yogo_jax.training.guards import check_config
from yogo_jax.training.optimiser import make_optimiser
from yogo_jax.training.sharding import make_mesh, most_devices, put_batch
from yogo_jax.training.state import abstract_state, new_state
from yogo_jax.training.step import compile_train_step


@dataclass(frozen=True)
class Rates:
    """What was measured on this host.

    Attributes:
      input: examples a second of the input with nothing beside it.
      step: examples a second of the training step on one batch, over and over.
      together: examples a second of training as it is.
      waiting: the share of that time in which the step waits for the input.
    """

    input: float
    step: float
    together: float
    waiting: float


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="config file; --config.data.threads=N and the like override")
    parser.add_argument("--batches", type=at_least(1), default=20, help="batches to read, after the first (20)")
    parser.add_argument(
        "--steps", type=at_least(0), default=5, help="training steps to time; 0 times the input alone (5)"
    )


def run(args: argparse.Namespace) -> None:
    config = load_config(args.config, args.overrides)
    split_cpu(most_devices(cores(), config.data.batch, config.optim.accumulate, config.train.fsdp))
    check_config(config, jax.device_count())
    data = config.data
    size = f"{data.patch[1]}x{data.patch[0]}"
    print(f"batches of {data.batch}, patches of {size}, {data.threads} threads, {jax.device_count()} devices")
    if not args.steps:
        print(f"input     {input_rate(config, args.batches):8.2f} clips/s")
        return
    rates = measure(config, args.batches, args.steps)
    print(f"input     {rates.input:8.2f} clips/s, alone")
    print(
        f"step      {rates.step:8.2f} clips/s, alone: the input gives {rates.input / rates.step:.1f} times what it eats"
    )
    print(f"training  {rates.together:8.2f} clips/s, {rates.waiting:.1%} of the time spent waiting for the input")


def input_rate(config: Config, batches: int) -> float:
    """Examples a second over some batches; the first, which starts the threads, does not count."""
    iterator = iter(make_train_input(config.data, seed=config.train.seed))
    next(iterator)
    return config.data.batch / _seconds(lambda: next(iterator), batches)


def measure(config: Config, batches: int, steps: int) -> Rates:
    """The input alone, the step alone, and both. Compilation does not count."""
    mesh = make_mesh(config.train.fsdp)
    network = config.model.build()
    optimiser = make_optimiser(config.optim, config.train.steps)
    averaged = config.optim.ema_decay > 0
    abstract = abstract_state(network, optimiser, averaged, mesh, config.train.fsdp_min_size)
    train_step = compile_train_step(network, optimiser, config.optim, mesh, abstract)
    state = new_state(network, optimiser, config.train.seed, averaged, abstract)

    def step(batch) -> None:
        nonlocal state
        state, metrics = train_step(state, batch)
        jax.block_until_ready(metrics)

    alone = input_rate(config, batches)
    batch = put_batch(next(iter(make_train_input(config.data, seed=config.train.seed))), mesh)
    step(batch)
    step_seconds = _seconds(lambda: step(batch), steps)
    iterator = iter(make_train_input(config.data, seed=config.train.seed))
    next(iterator)  # starts the threads, with nothing decoded ahead
    waited, begun = 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        fresh = put_batch(next(iterator), mesh)
        waited += time.perf_counter() - asked
        step(fresh)
    took = time.perf_counter() - begun
    size = config.data.batch
    return Rates(alone, size / step_seconds, steps * size / took, waited / took)


def _seconds(work: Callable[[], object], times: int) -> float:
    """Mean seconds of one call."""
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times
