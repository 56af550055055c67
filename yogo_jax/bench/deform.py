"""`yogo bench deform`: the deformable convolution, forward and with all gradients."""

import argparse
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from yogo_jax.bench.measure import Work, add_threads, compare, table, use_threads
from yogo_jax.cli.arguments import at_least
from yogo_jax.errors import UserError
from yogo_jax.ops.deform_conv import deform_conv2d


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--channels", type=at_least(1), default=64)
    parser.add_argument("--groups", type=at_least(1), default=8)
    parser.add_argument("--width", type=at_least(1), default=180)
    parser.add_argument("--height", type=at_least(1), default=144)
    parser.add_argument("--batch", type=at_least(1), default=1)
    parser.add_argument("--rounds", type=at_least(1), default=7, help="timed runs of each (default 7)")
    add_threads(parser, 2)
    parser.add_argument("--against", choices=["torch"], help="run the same in PyTorch, and print ratios")


def run(args: argparse.Namespace) -> None:
    if args.channels % args.groups:
        raise UserError(f"--channels {args.channels} is not a multiple of --groups {args.groups}")
    use_threads(args.threads)
    rng = np.random.default_rng(0)
    pixels = (args.batch, args.height, args.width)
    arrays = [
        rng.standard_normal((*pixels, args.channels)),
        2 * rng.standard_normal((*pixels, args.groups, 9, 2)),
        rng.random((*pixels, args.groups, 9)),
        0.05 * rng.standard_normal((3, 3, args.channels, args.channels)),
    ]
    arrays = [array.astype(np.float32) for array in arrays]
    print(
        f"{args.channels} channels, {args.groups} groups, {args.batch}×{args.width}×{args.height}, "
        f"{args.threads} threads, float32; offsets of 2 px"
    )
    cotangent = rng.standard_normal(arrays[0].shape).astype(np.float32)
    for what, pulled in (("forward", None), ("forward + backward", cotangent)):
        contenders = {f"jax {what}": partial(_jax, arrays, pulled)}
        if args.against:
            from yogo_jax.bench import torch_side

            contenders |= torch_side.deform(arrays, pulled, args.threads)
        print(table(compare(contenders, args.rounds)))


def _jax(arrays: list[np.ndarray], cotangent: np.ndarray | None) -> Work:
    """The operator; with the `cotangent` its result and what that is pulled back to."""

    def pulled_back(cotangent: jax.Array, *arguments: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        y, pull = jax.vjp(deform_conv2d, *arguments)
        return y, pull(cotangent)

    function = deform_conv2d if cotangent is None else pulled_back
    arguments = [jnp.asarray(array) for array in ([] if cotangent is None else [cotangent]) + arrays]
    compiled = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.block_until_ready(compiled(*arguments))
