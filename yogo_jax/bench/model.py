"""`yogo bench model`: a whole network, forward and with its gradients."""

import argparse
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from yogo_jax.bench.measure import Work, compare, random_params, table, use_threads
from yogo_jax.cli.arguments import at_least
from yogo_jax.configuration import load_config
from yogo_jax.weights import Params, load_weights


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", help="config file (default: the packaged model's)")
    parser.add_argument("--frames", type=at_least(2), default=4, help="LR frames (default 4)")
    parser.add_argument("--width", type=at_least(1), default=180, help="of an LR frame (default 180)")
    parser.add_argument("--height", type=at_least(1), default=144, help="of an LR frame (default 144)")
    parser.add_argument("--batch", type=at_least(1), default=1)
    parser.add_argument("--rounds", type=at_least(1), default=3, help="timed runs of each (default 3)")
    parser.add_argument("--threads", type=at_least(1), default=2, help="cores to use (default 2)")
    parser.add_argument("--mode", choices=["forward", "gradient", "both"], default="both")
    parser.add_argument(
        "--against",
        nargs="+",
        choices=["torch", "compiled", "zooming_slow_mo"],
        default=[],
        help="print ratios to: the same network in PyTorch, the same by torch.compile, Zooming Slow-Mo in PyTorch",
    )


def run(args: argparse.Namespace) -> None:
    use_threads(args.threads)
    config = load_config(args.config, args.overrides).model if args.config else load_weights()[0]
    frames = np.random.default_rng(0).random((args.batch, args.frames, args.height, args.width, 3), np.float32)
    print(f"{config.network}, {args.batch}×{args.frames} frames of {args.width}×{args.height}, {args.threads} threads")
    model = config.build()
    params = random_params(model, frames)
    modes = {"forward": False, "gradient": True}
    for what, gradient in modes.items():
        if args.mode in (what, "both"):
            contenders = {f"jax {what}": partial(_jax, model, params, frames, gradient)}
            if args.against:
                from yogo_jax.bench import torch_side

                contenders |= torch_side.model(config, args.against, frames, gradient, args.threads)
            print(table(compare(contenders, args.rounds)))


def _jax(model: nn.Module, params: Params, frames: np.ndarray, gradient: bool) -> Work:
    x = jnp.asarray(frames)

    def forward(params, x):
        out: Any = model.apply({"params": params}, x)
        return out.image

    def loss(params, x):
        images: Any = model.apply({"params": params}, x, auxiliary=True)
        return sum(image.mean() for image in images if image is not None)

    compiled = jax.jit(jax.grad(loss) if gradient else forward).lower(params, x).compile()
    return lambda: jax.block_until_ready(compiled(params, x))
