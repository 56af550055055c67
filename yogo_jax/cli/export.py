"""`yogo export`: a network as a StableHLO or ONNX artefact."""

import argparse
from pathlib import Path

from yogo_jax.errors import UserError
from yogo_jax.export import write_onnx, write_stablehlo
from yogo_jax.weights import load_weights


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dest", type=Path, help="file to write")
    parser.add_argument("--weights", help="weight file (default: the packaged model)")
    parser.add_argument("--format", choices=("stablehlo", "onnx"), default="stablehlo")
    parser.add_argument("--frames", type=int, default=4, help="LR frames that a call takes (default 4)")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="size of the LR frames; StableHLO may leave it open (default: any multiple of 4, of 8 in networks that "
        "register frames), ONNX has to have it",
    )


def run(args: argparse.Namespace) -> None:
    if args.frames < 2:
        raise UserError(f"--frames {args.frames}: a network takes 2 or more")
    if args.size and min(args.size) < 1:
        raise UserError(f"--size {args.size[0]} {args.size[1]}: it takes a height and a width in pixels")
    if args.format == "onnx" and not args.size:
        raise UserError("--format onnx: it is for one size, give --size HEIGHT WIDTH")
    config, params = load_weights(args.weights)
    if args.format == "onnx":
        write_onnx(args.dest, config, params, args.frames, tuple(args.size))
    else:
        write_stablehlo(args.dest, config, params, args.frames, tuple(args.size) if args.size else None)
    size = "×".join(map(str, args.size)) if args.size else f"multiples of {config.multiple}"
    print(f"{args.dest}: {config.network}, {args.frames} frames, height and width {size}")
    print(f"{args.dest.stat().st_size / 1e6:.1f} MB")
