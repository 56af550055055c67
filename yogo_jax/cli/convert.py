"""`yogo convert`: weights between PyTorch and JAX."""

import argparse
import sys
from pathlib import Path
from typing import Any

import jax

from yogo_jax.configuration import ModelConfig, load_config
from yogo_jax.convert import Mismatch, checkpoint, state_dict, to_torch, torch_shapes
from yogo_jax.convert.source import read_weights
from yogo_jax.errors import UserError
from yogo_jax.weights import save_weights


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help=".pth, .pt, .ckpt, .safetensors, or the directory of a run")
    parser.add_argument("dest", type=Path, help=".safetensors, .pth, .pt, or a directory (an orbax checkpoint)")
    parser.add_argument(
        "--to",
        choices=("jax", "torch"),
        help="names and layout of a .safetensors DEST (default: the other framework than SOURCE's)",
    )
    parser.add_argument("--config", help="the network, where the weights do not tell it")
    parser.add_argument("--key", help="which set of weights, where SOURCE holds several")
    parser.add_argument("--rename-file", type=Path, help="rules PATTERN -> NAME for other people's names")
    parser.add_argument("--dry-run", action="store_true", help="check and report, write nothing")


def run(args: argparse.Namespace) -> int | None:
    if args.overrides and not args.config:
        raise UserError(f"{args.overrides[0]} overrides a --config, and none is given")
    config = load_config(args.config, args.overrides).model if args.config else None
    target = _target(args.dest, args.to)
    try:
        source = read_weights(args.source, config, args.key, args.rename_file)
    except Mismatch as mismatch:
        print(f"{args.source} is not the network that it should be; nothing is written.\n{mismatch}", file=sys.stderr)
        return 1
    for note in source.notes:
        print(note)
    target = target or ("torch" if source.framework == "jax" else "jax")
    count = sum(leaf.size for leaf in jax.tree.leaves(source.params))
    print(f"{args.source}: {source.config.network}, {len(torch_shapes(source.config))} tensors, {count:,} parameters")
    if args.dry_run:
        print("dry run: nothing is written")
    else:
        _write(args.dest, target, source.config, source.params)
        print(f"{args.dest}: written for {'PyTorch' if target == 'torch' else 'JAX'}")


def _target(dest: Path, asked: str | None) -> str | None:
    """The framework that the destination is for; None where its name leaves it open."""
    if dest.suffix in state_dict.TORCH_SUFFIXES:
        only = "torch"
    elif dest.suffix == ".safetensors":
        return asked
    elif dest.suffix == "" or dest.is_dir():
        only = "jax"
    else:
        raise UserError(f"{dest}: weights are written to .safetensors, .pth, .pt, or a directory")
    if asked not in (None, only):
        raise UserError(f"{dest}: this kind of file is for {only} alone; write a .safetensors for {asked}")
    return only


def _write(dest: Path, target: str, config: ModelConfig, params: Any) -> None:
    if target == "torch":
        state_dict.write(dest, to_torch(params, config), config)
    elif dest.suffix == ".safetensors":
        save_weights(dest, config, params)
    else:
        checkpoint.write(dest, params, config)
