"""`yogo info`: what a network costs."""

import argparse
import dataclasses
import json

from yogo_jax.cli.arguments import at_least
from yogo_jax.configuration import load_config
from yogo_jax.info import PAPER_FRAMES, cost
from yogo_jax.weights import load_weights


def configure(parser: argparse.ArgumentParser) -> None:
    network = parser.add_mutually_exclusive_group()
    network.add_argument("--config", help="config file, such as configs/yogo_64.py")
    network.add_argument("--weights", help="weight file, instead of a config (default: the packaged model)")
    parser.add_argument("--frames", type=at_least(2), default=PAPER_FRAMES[1], help="LR frames to count on (default 4)")
    parser.add_argument("--width", type=at_least(1), default=PAPER_FRAMES[3], help="their width (default 180)")
    parser.add_argument("--height", type=at_least(1), default=PAPER_FRAMES[2], help="their height (default 144)")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")


def run(args: argparse.Namespace) -> None:
    model = load_config(args.config, args.overrides).model if args.config else load_weights(args.weights)[0]
    result = cost(model.build(), (1, args.frames, args.height, args.width, 3))
    if args.json:
        print(json.dumps({"model": dataclasses.asdict(model), **dataclasses.asdict(result)}, indent=2))
        return
    for module, count in result.parameters_by_module.items():
        print(f"{module:40} {count:>12,}")
    print(f"{'parameters':40} {result.parameters:>12,}")
    print(f"for {args.frames} frames of {args.width}×{args.height}, in tera:")
    print(f"{'multiply-adds':40} {result.multiply_adds / 1e12:>12.3f}")
    print(f"{'of deformable kernels, beside those':40} {result.deformable_multiply_adds / 1e12:>12.3f}")
