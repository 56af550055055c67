"""The `yogo` command: one module of this package for each sub-command.

A sub-command's module has `configure(parser)`, which adds its arguments, and `run(args)`, which does the
work and returns an exit code (None is 0). Only the module of the chosen sub-command is imported, so that
`yogo --help` answers at once.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from platformdirs import user_cache_path

from yogo_jax.errors import UserError

COMMANDS = {
    "upscale": "turn a video into one of four times the size and twice the frame rate",
    "info": "print a network's parameters and multiply-adds",
    "bench": "measure the hot paths, against PyTorch if asked",
    "data": "build and show datasets",
    "train": "train a network",
    "compile": "compile a training step ahead of time for a TPU topology",
    "eval": "score a network by the paper's protocol",
    "report": "draw evaluation results as one HTML page",
    "convert": "convert weights between PyTorch and JAX",
    "export": "write a network as a StableHLO or ONNX artefact",
}


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="yogo", description="Space-time video super-resolution in JAX.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary.capitalize() + ".")
        if name == command:
            importlib.import_module(f"yogo_jax.cli.{name}").configure(subparser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command. Returns the exit code: 0, or 2 after a line on standard error."""
    # Compiled programs are kept from run to run; JAX reads these when it is first imported.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(user_cache_path("yogo-jax") / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "2")
    if argv is None:
        _ask_for_huge_pages()
    argv = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in argv if word in COMMANDS), None)
    parser = _parser(command)
    args, rest = parser.parse_known_args(argv)
    overrides = [word for word in rest if word.startswith("--config.")]
    if unknown := [word for word in rest if word not in overrides]:
        parser.error(f"unrecognised arguments: {' '.join(unknown)}")
    if overrides and not getattr(args, "config", None):
        parser.error(f"{args.command} needs --config before overrides: {' '.join(overrides)}")
    args.overrides = overrides
    try:
        code = importlib.import_module(f"yogo_jax.cli.{args.command}").run(args) or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("yogo: interrupted", file=sys.stderr)
        return 130
    except UserError as error:
        print(f"yogo: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"yogo: {error.filename or args.command}: {error.strerror or error}", file=sys.stderr)
        return 2


def _ask_for_huge_pages() -> None:
    """Start this process anew, with glibc asking the system for huge pages; it reads that when it is loaded.

    XLA:CPU allocates a program's temporaries anew in every run. In pages of 4 KB, a fifth of a training step went into
    having the system hand them out.
    """
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
