"""Train and evaluate the variants of Tables 3 to 5 and Figure 9 under one budget, and print the paper's tables.

Two tables more: "Loss", the complete network trained by the image term alone, and by all three (Section 3.5);
"Departures", a config that departs from the paper's network, with each departure undone.

    python scripts/ablations.py --config configs/yogo_64.py --workdir runs/ablations \
        --test vimeo90k-fast=vimeo_septuplet vid4=vid4 --seeds 0 1 2

The config is the complete model (e) and the budget of every variant: its data, optimiser and steps. A variant that
stands in several tables is trained once. Run the same command again after an interruption: finished variants are
kept, the one in training goes on from its checkpoint. WORKDIR/ablations.txt and .json keep what is printed.
"""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np

from yogo_jax.configuration import Config, load_config
from yogo_jax.errors import UserError
from yogo_jax.evaluation.clips import DATASETS, TestSet, find_clips
from yogo_jax.evaluation.models import network
from yogo_jax.evaluation.results import read_results, write_text
from yogo_jax.evaluation.run import score
from yogo_jax.evaluation.table import SETS
from yogo_jax.model.config import YOGOConfig
from yogo_jax.training.train import train

Tables = Mapping[str, Mapping[str, dict[str, Any]]]
"""Title → column → the fields in which that variant differs from the config."""

PAPER_ORDER = {"Table 3": (0, 1, 2, 3, 4), "Table 4": (5, 4, 0, 3, 1, 2), "Table 5": (1, 0, 2, 3), "Loss": (0, 1)}
"""Columns, by number, from the lowest to the highest PSNR that the paper reports on Vimeo90K-Fast (of the loss it
reports none)."""


PAPER = {
    name: getattr(YOGOConfig(), name)
    for name in ("fusion", "motion", "dfu_direction", "dcn_size", "recon", "image_skip", "missing_frame")
}
"""Fields of kind rather than size, as the paper's network has them."""


def paper_tables(model: YOGOConfig) -> dict[str, dict[str, dict[str, Any]]]:
    """The variants of the paper, around a complete model of any size.

    Table 4 divides the model's own number of fusion residual blocks; Figure 9 goes up to its own number of HFBs.
    """
    blocks = model.frb_backward + model.frb_forward
    splits = sorted({round(blocks * share / 5) for share in range(6)} | {model.frb_backward})
    departures = {f"{name}={value}": {name: value} for name, value in PAPER.items() if getattr(model, name) != value}
    if model.image_skip == "reconstruct":  # without a motion there is nothing to reconstruct along
        interpolated = {"image_skip": "interpolate"}
        departures |= {"motion=none": interpolated | {"motion": "none"}, "no reconstruction": interpolated}
    return {
        "Table 3": {
            "Model (a)": {"interaction": "backward_only", "fusion": "direct"},
            "Model (b)": {"interaction": "none", "fusion": "direct"},
            "Model (c)": {"interaction": "none"},
            "Model (d)": {"fusion": "direct"},
            "Model (e)": {},
        },
        "Table 4": {f"{n}+{blocks - n}": {"frb_backward": n, "frb_forward": blocks - n} for n in splits},
        "Table 5": {
            "DFU": {"cell_order": "dfu"},
            "FRU": {"cell_order": "fru"},
            "FRU+DFU": {"cell_order": "fru_dfu"},
            "DFU+FRU": {"cell_order": "dfu_fru"},
        },
        "Loss": {"image": {"auxiliary_heads": False}, "image+structure+detail": {}},
        "Figure 9": {f"{n} HFB": {"hfbs": n} for n in range(1, model.hfbs + 1)},
        "Departures": {"as it is": {}} | departures,
    }


def run(
    config: Config, tables: Tables, tests: Sequence[TestSet], seeds: Sequence[int], workdir: Path
) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Train and evaluate what is not done yet.

    Returns: title → column → test set → PSNR on luma for each seed.
    """
    _claim(workdir, config, tests)
    return {
        title: {
            column: _variant(dataclasses.replace(config.model, **changes), config, tests, seeds, workdir)
            for column, changes in columns.items()
        }
        for title, columns in tables.items()
    }


def _claim(workdir: Path, config: Config, tests: Sequence[TestSet]) -> None:
    """A workdir holds the runs of one budget: note it, or hold it against what was noted. Raises UserError."""
    train = {name: value for name, value in dataclasses.asdict(config.train).items() if name != "seed"}
    budget = {**dataclasses.asdict(config), "train": train}
    budget["tests"] = {test.name: str(test.source.resolve()) for test in tests}
    note, now = workdir / "budget.json", json.dumps(budget, indent=1, sort_keys=True) + "\n"
    if not note.is_file():
        write_text(note, now)
    elif note.read_text() != now:
        raise UserError(f"{note}: the runs here have another config or other test sets; take another --workdir")


def _variant(
    model: Any, config: Config, tests: Sequence[TestSet], seeds: Sequence[int], workdir: Path
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {test.name: [] for test in tests}
    for seed in seeds:
        folder = workdir / _name(model, config.model) / f"seed{seed}"
        for test in tests:
            out = folder / test.name
            if not (out / "results.json").is_file():
                options = dataclasses.replace(config.train, seed=seed)
                _train(dataclasses.replace(config, model=model, train=options), folder)
                score(network(folder / "weights.safetensors", name=_name(model, config.model)), test, out)
                jax.clear_caches()  # a night of variants would fill the memory with compiled programs
            found[test.name].append(read_results(out)["total"]["psnr_y"])
    return found


def _train(config: Config, folder: Path) -> None:
    done = folder / "trained"
    if done.is_file():
        return
    print(f"training {folder}", flush=True)
    if int(train(config, folder).step) < config.train.steps:
        raise UserError(f"{folder}: stopped; the same command goes on from here")
    write_text(done, f"{config.train.steps} steps\n")


def _name(model: Any, base: Any) -> str:
    """The fields in which a model differs from the base, as a folder's name."""
    fields = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    changed = [f"{name}={value}" for name, value in fields.items() if value != getattr(base, name)]
    return ",".join(changed) or "complete"


def paper_orders(tables: Tables) -> dict[str, list[str]]:
    """The columns of each table that the paper ranks, from the lowest to the highest PSNR."""
    return {
        title: [list(tables[title])[i] for i in order]
        for title, order in PAPER_ORDER.items()
        if len(order) == len(tables[title])
    }


def render(
    results: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], orders: Mapping[str, Sequence[str]]
) -> str:
    """The tables in the paper's layout, PSNR as mean ± standard deviation over the seeds, and the orderings."""
    lines = []
    for title, columns in results.items():
        sets = list(next(iter(columns.values())))
        rows = [["Setting", *columns]]
        rows += [[SETS.get(name, name), *(_cell(column[name]) for column in columns.values())] for name in sets]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines += [title, *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)]
        order = [column for column in orders.get(title, ()) if column in columns]
        if order:
            lines.append("  Steps up in the paper, on Vimeo90K-Fast, and what they are here:")
        lines += [line for name in sets for line in _orderings(name, columns, order)] + [""]
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f}" + (f" ±{np.std(values, ddof=1):.2f}" if len(values) > 1 else "")


def _orderings(data: str, columns: Mapping[str, Mapping[str, Sequence[float]]], order: Sequence[str]) -> Iterable[str]:
    """Whether each step up in the paper is one here. Seeds are paired: both variants saw the same data."""
    for lower, higher in pairwise(order):
        gains = np.subtract(columns[higher][data], columns[lower][data])
        agree = f"{int((gains > 0).sum())} of {len(gains)} seeds"
        yield f"  {data}: {lower} < {higher}: {gains.mean():+.3f} dB, {agree}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--config", required=True, help="the complete model and the budget; --config.x.y=VALUE overrides"
    )
    parser.add_argument("--workdir", required=True, type=Path, help="folder of all runs")
    parser.add_argument(
        "--test", required=True, nargs="+", metavar="SET=FOLDER", help=f"SET is one of {', '.join(DATASETS)}"
    )
    parser.add_argument(
        "--tables", nargs="+", metavar="TITLE", help='such as "Table 3", or "Table 4=0+10,10+0" (default: all)'
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    args, rest = parser.parse_known_args(argv)
    if unknown := [word for word in rest if not word.startswith("--config.")]:
        parser.error(f"unrecognised arguments: {' '.join(unknown)}")
    try:
        config = load_config(args.config, rest)
        if not isinstance(config.model, YOGOConfig):
            raise UserError(f"{args.config}: the paper's ablations are of YOGO, not of {config.model.network}")
        tables = paper_tables(config.model)
        orders = paper_orders(tables)
        chosen = dict(_columns(text, tables) for text in args.tables or tables)
        tests = [_test_set(text) for text in args.test]
        if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # the seeds of a variant share its programs
            jax.config.update("jax_compilation_cache_dir", str(args.workdir / "compiled"))
        results = run(config, chosen, tests, args.seeds, args.workdir)
    except UserError as error:
        print(f"ablations: {error}", file=sys.stderr)
        return 2
    text = render(results, orders)
    write_text(args.workdir / "ablations.json", json.dumps(results, indent=1) + "\n")
    write_text(args.workdir / "ablations.txt", text)
    print(text)
    return 0


def _columns(text: str, tables: Tables) -> tuple[str, dict[str, dict[str, Any]]]:
    """(title, columns) of "TITLE", with all its columns, or of "TITLE=COLUMN,COLUMN"."""
    title, _, names = text.partition("=")
    if title not in tables:
        raise UserError(f"--tables {title!r}: it takes {', '.join(map(repr, tables))}")
    columns = names.split(",") if names else list(tables[title])
    if unknown := [name for name in columns if name not in tables[title]]:
        raise UserError(f"--tables {title}={unknown[0]}: it has {', '.join(tables[title])}")
    return title, {name: tables[title][name] for name in columns}


def _test_set(text: str) -> TestSet:
    data, _, folder = text.partition("=")
    if data not in DATASETS or not folder:
        raise UserError(f"--test {text}: it takes SET=FOLDER, SET one of {', '.join(DATASETS)}")
    return find_clips(data, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
