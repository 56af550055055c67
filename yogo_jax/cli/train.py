"""`yogo train`: train a network, or go on training it."""

import argparse
from pathlib import Path

from yogo_jax.configuration import load_config


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--config", required=True, help="config file; --config.x.y=VALUE overrides its fields")
    parser.add_argument(
        "--workdir", type=Path, required=True, help="the run's directory; a run that is in it already goes on"
    )
    parser.add_argument(
        "--init-from", type=Path, metavar="PATH", help="weights file or run to take the first parameters from"
    )
    parser.add_argument("--profile", action="store_true", help="trace a few steps into WORKDIR/profile")


def run(args: argparse.Namespace) -> None:
    """Train."""
    config = load_config(args.config, args.overrides)
    from yogo_jax.devices import cores, split_cpu
    from yogo_jax.training import distributed  # after the config is known to be sound
    from yogo_jax.training.sharding import most_devices

    distributed.initialise()
    split_cpu(most_devices(cores(), config.data.batch, config.optim.accumulate, config.train.fsdp))
    from yogo_jax.training.train import train

    train(config, args.workdir, init_from=args.init_from, profile=args.profile)
