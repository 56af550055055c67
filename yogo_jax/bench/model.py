"""`yogo bench model`: a whole network, inference or a training step."""

import argparse
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from yogo_jax.bench.measure import Work, add_threads, compare, random_params, table, use_threads
from yogo_jax.bench.profile import limit, profile
from yogo_jax.cli.arguments import at_least
from yogo_jax.configuration import OptimConfig, load_config
from yogo_jax.devices import compiler_options, split_cpu
from yogo_jax.errors import UserError
from yogo_jax.tracing import uncollected
from yogo_jax.training.optimiser import make_optimiser
from yogo_jax.training.sharding import batch_sharding, make_mesh, most_devices
from yogo_jax.training.state import TrainState, abstract_state, shardings_of
from yogo_jax.training.step import Batch, compile_train_step
from yogo_jax.weights import Params, load_weights


class Program(NamedTuple):
    """What runs, and what it was traced and compiled to."""

    work: Work
    jaxpr: Any
    compiled: jax.stages.Compiled


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", help="config file (default: the packaged model's)")
    parser.add_argument("--frames", type=at_least(2), default=4, help="LR frames (default 4)")
    parser.add_argument("--width", type=at_least(1), default=180, help="of an LR frame (default 180)")
    parser.add_argument("--height", type=at_least(1), default=144, help="of an LR frame (default 144)")
    parser.add_argument("--batch", type=at_least(1), default=1)
    parser.add_argument("--rounds", type=at_least(1), default=3, help="timed runs of each (default 3)")
    add_threads(parser, 2)
    parser.add_argument("--mode", choices=["forward", "train"], default="forward", help="inference, or a training step")
    parser.add_argument(
        "--against",
        nargs="+",
        choices=["torch", "compiled", "zooming_slow_mo"],
        default=[],
        help="print ratios to: the same network in PyTorch, the same by torch.compile, Zooming Slow-Mo in PyTorch",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="tell where the time goes, and the least that it can be, instead; best with --threads 1",
    )
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="of PyTorch's ways, only those with this in their names"
    )


def run(args: argparse.Namespace) -> None:
    if args.profile and args.against:
        raise UserError("--profile is of this package's program alone: it takes no --against")
    use_threads(args.threads)
    training = args.mode == "train"
    split_cpu(most_devices(args.threads, args.batch) if training else 1)
    config = load_config(args.config, args.overrides).model if args.config else load_weights()[0]
    frames = np.random.default_rng(0).random((args.batch, args.frames, args.height, args.width, 3), np.float32)
    print(f"{config.network}, {args.batch}×{args.frames} frames of {args.width}×{args.height}, {args.threads} threads")
    model = config.build()
    params = random_params(model, frames)
    truth = None
    if training:
        images: Any = jax.eval_shape(model.apply, {"params": params}, frames)
        truth = np.random.default_rng(1).random(images.image.shape, np.float32)
    if args.profile:
        work, jaxpr, compiled = _jax(model, params, frames, truth)
        work()
        print(profile(work, compiled.as_text() or ""))
        print(limit(jaxpr))
        return
    contenders = {f"jax, {'training step' if training else 'forward'}": lambda: _jax(model, params, frames, truth).work}
    if args.against:
        from yogo_jax.bench import torch_side

        others = torch_side.model(config, params, args.against, frames, truth, args.threads)
        contenders |= {name: prepare for name, prepare in others.items() if args.only in name}
        if len(contenders) == 1:
            raise UserError(f"--only {args.only!r}: it takes a part of one of these names: {'; '.join(others)}")
    print(table(compare(contenders, args.rounds)))


def _jax(model: nn.Module, params: Params, frames: np.ndarray, truth: np.ndarray | None) -> Program:
    """Inference, or with the `truth` the step that `yogo train` takes: loss of all heads, gradients, AdaMax."""
    x = jnp.asarray(frames)
    if truth is not None:
        return _train(model, params, {"lr": x, "hr": jnp.asarray(truth)})

    @uncollected()
    def forward(params, x):
        out: Any = model.apply({"params": params}, x)
        return out.image

    options = compiler_options(jax.devices()[:1])
    traced = jax.jit(forward, compiler_options=options).trace(params, x)
    compiled = traced.lower().compile()
    return Program(lambda: jax.block_until_ready(compiled(params, x)), traced.jaxpr, compiled)


def _train(model: nn.Module, params: Params, batch: Batch) -> Program:
    optim = OptimConfig()
    devices = jax.devices()[: most_devices(jax.device_count(), len(batch["lr"]))]
    mesh, optimiser = make_mesh(devices=devices), make_optimiser(optim, steps=1_000_000)
    abstract = abstract_state(model, optimiser, averaged=False, mesh=mesh, min_size=0)
    zero = partial(jnp.zeros, (), jnp.int32)  # each its own: a step gives up its arguments
    params = jax.tree.map(jnp.copy, params)
    state = TrainState(zero(), params, None, optimiser.init(params), zero(), zero())
    state = jax.device_put(state, shardings_of(abstract))
    batch = jax.device_put(batch, batch_sharding(mesh))
    traced = compile_train_step(model, optimiser, optim, mesh, abstract).trace(state, batch)
    compiled = traced.lower().compile()

    def work() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(compiled(state, batch))

    return Program(work, traced.jaxpr, compiled)
