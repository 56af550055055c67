"""`yogo compile`: compile a training step or inference ahead of time for a TPU topology, on a machine without one."""

import argparse
import os

import jax

from yogo_jax.cli.arguments import at_least, pixels
from yogo_jax.configuration import load_config
from yogo_jax.training.ahead_of_time import HBM, compile_for, compile_inference


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--config", required=True, help="config file; --config.x.y=VALUE overrides its fields")
    parser.add_argument(
        "--topology",
        required=True,
        help=f"slice to compile for, such as v5e:16x16; generations: {', '.join(HBM)}; or CPU devices, such as cpu:8",
    )
    parser.add_argument("--batch-per-chip", type=at_least(1), default=1, help="examples of a step on each chip (1)")
    parser.add_argument(
        "--inference", type=pixels, metavar="WxH", help="compile inference on clips of four frames of this size instead"
    )


def run(args: argparse.Namespace) -> None:
    """Compile and print."""
    config = load_config(args.config, args.overrides)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])  # the compiler alone is wanted of libtpu
    if args.inference is None:
        print(compile_for(config, args.topology, args.batch_per_chip))
    else:
        print(compile_inference(config, args.topology, args.inference, args.batch_per_chip))
