"""`yogo eval`: score a network, or a baseline, by the paper's protocol."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from yogo_jax.cli.arguments import at_least
from yogo_jax.configuration import load_config
from yogo_jax.devices import split_cpu
from yogo_jax.errors import UserError
from yogo_jax.evaluation.clips import DATASETS, find_clips
from yogo_jax.evaluation.models import BASELINES, Model, network
from yogo_jax.evaluation.run import score
from yogo_jax.evaluation.table import render, rows_of
from yogo_jax.training import distributed
from yogo_jax.video.memory import available

_WINDOW_BYTES = 6_000_000_000
"""That a window may take: the packaged model's of 480×270."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, choices=DATASETS, help="test set; folder: any folder of clips")
    parser.add_argument("--source", required=True, type=Path, help="folder that holds its clips")
    parser.add_argument("--out", required=True, type=Path, help="folder for the results; a stopped run resumes there")
    parser.add_argument("--model", choices=["network", *BASELINES], default="network", help="default: network")
    parser.add_argument("--weights", type=Path, help="the network's weight file (default: the packaged model)")
    parser.add_argument("--config", type=Path, help="config file whose network is to run the weights")
    parser.add_argument("--name", help="what the table calls the model")
    parser.add_argument("--list", type=Path, help="list of Vimeo90K septuplets (default: in the source folder)")
    parser.add_argument("--batch", type=at_least(1), default=1, help="windows at once on each device (default 1)")


def run(args: argparse.Namespace) -> int:
    if args.model != "network" and (args.weights or args.config):
        raise UserError(f"--model {args.model} is no network: it takes no --weights and no --config")
    distributed.initialise()
    split_cpu(available() // _WINDOW_BYTES)
    results = score(_model(args), find_clips(args.data, args.source, args.list), args.out, args.batch)
    if results:
        print(_report(results))
    return int(bool(results and (results["data"]["missing"] or results["data"]["failed"])))


def _model(args: argparse.Namespace) -> Model:
    if args.model == "network":
        config = load_config(args.config, args.overrides).model if args.config else None
        return network(args.weights, config, args.name)
    model = BASELINES[args.model]
    return dataclasses.replace(model, name=args.name or model.name)


def _report(results: dict[str, Any]) -> str:
    """Clips, known and made frames apart, the table, and the cost."""
    lines = [f"{'':24} {'frames':>6}  {'PSNR':>6}  {'SSIM':>6}   (luma)"]
    parts = [*results["clips"].items(), *((name, results[name]) for name in ("known", "made", "total"))]
    shown = parts if len(parts) <= 64 else parts[-3:]  # not a line for each of Vimeo's thousands
    lines += [f"{name:24} {p['frames']:6}  {p['psnr_y']:6.3f}  {p['ssim_y']:.4f}" for name, p in shown]
    speed, memory = results["speed"], results["memory"]
    lines += [
        "",
        render(rows_of([results])),
        "",
        f"{speed['frames']} frames in {speed['seconds']:.1f} s on {speed['device']}",
        f"compilation {speed['compile_seconds']:.1f} s, not counted",
        f"peak memory of the {memory['of']} {memory['peak_bytes'] / 2**30:.2f} GiB",
    ]
    return "\n".join(lines)
