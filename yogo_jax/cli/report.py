"""`yogo report`: draw evaluation results as one HTML page."""

import argparse
from pathlib import Path

from yogo_jax.evaluation.report import build


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", nargs="+", type=Path, help="folders that `yogo eval --out` has finished")
    parser.add_argument("--out", required=True, type=Path, help="folder for index.html")
    parser.add_argument(
        "--frames",
        nargs="*",
        metavar="CLIP:FRAME",
        help="frames to show, counted from 0 (default: up to four; none: no pictures)",
    )
    parser.add_argument("--source", type=Path, help="where the first run's clips are now, if they have moved")


def run(args: argparse.Namespace) -> None:
    print(build(args.results, args.out, args.frames, args.source))
