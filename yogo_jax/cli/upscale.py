"""`yogo upscale`: a video of four times the size and twice the rate."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from yogo_jax.video.options import Options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="video file, or folder of images")
    parser.add_argument("output", type=Path, help=".mp4 or .mkv file, or a name without an ending for a folder of PNG")
    parser.add_argument("--weights", type=Path, metavar="PATH", help="weight file (default: the packaged model)")
    parser.add_argument("--crf", type=float)
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")


def run(args: argparse.Namespace) -> None:
    from yogo_jax.video.network import load_network
    from yogo_jax.video.pipeline import upscale_file

    options = Options(weights=args.weights, crf=args.crf, overwrite=args.overwrite)
    with tqdm(unit=" frames", file=sys.stderr, dynamic_ncols=True) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        summary = upscale_file(args.input, args.output, load_network(args.weights), options, progress)
    for line in summary.warnings:
        print(f"yogo: {line}", file=sys.stderr)
    length = f"{summary.video_seconds:.1f} s of video"
    print(f"{summary.output}: {summary.frames_out} frames from {summary.frames_in}, {length}")
