"""`yogo bench`: measure the hot paths. One module of `yogo_jax.bench` for each target."""

import argparse
import importlib

TARGETS = {
    "model": "time and memory of a network, forward and backward",
    "deform": "time and memory of the deformable convolution, forward and backward",
    "upscale": "frames a second of a video from file to file, against the network alone and FFmpeg's filters",
    "scaling": "how time and memory grow with frames, pixels, batch and filters",
    "input": "examples a second that the input gives, against what a training step eats",
}


def configure(parser: argparse.ArgumentParser) -> None:
    targets = parser.add_subparsers(dest="target", required=True, metavar="TARGET")
    for name, summary in TARGETS.items():
        target = targets.add_parser(name, help=summary, description=summary.capitalize() + ".")
        importlib.import_module(f"yogo_jax.bench.{name}").configure(target)


def run(args: argparse.Namespace) -> int | None:
    return importlib.import_module(f"yogo_jax.bench.{args.target}").run(args)
