"""`yogo bench scaling`: how time and memory of a network grow with frames, pixels, batch and filters."""

import argparse
import dataclasses
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from yogo_jax.bench.measure import add_threads, random_params, use_threads
from yogo_jax.cli.arguments import at_least
from yogo_jax.configuration import ModelConfig, load_config
from yogo_jax.weights import load_weights


@dataclass(frozen=True)
class Point:
    """One size, and what a forward run took: processor seconds, and bytes of temporaries as the compiler counts."""

    along: str
    value: int
    seconds: float
    temporaries: int


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", help="config file (default: the packaged model's)")
    parser.add_argument(
        "--side", type=at_least(8), default=64, help="of the square LR frame that sizes start from (64)"
    )
    parser.add_argument("--doublings", type=at_least(1), default=2, help="of each quantity (default 2)")
    parser.add_argument("--rounds", type=at_least(1), default=3, help="timed runs of each (default 3)")
    add_threads(parser, 1)
    parser.add_argument("--out", type=Path, help="draw a picture as well, such as scaling.png")


def run(args: argparse.Namespace) -> None:
    use_threads(args.threads)
    config = load_config(args.config, args.overrides).model if args.config else load_weights()[0]
    print(f"{config.network}, from 1×2 frames of {args.side}×{args.side}, {args.threads} threads, forward, float32")
    points = []
    for along in ("frames", "pixels", "batch", "filters"):
        first = None
        for doubling in range(args.doublings + 1):
            point = _measure(config, along, doubling, args.side, args.rounds)
            first = first or point
            points.append(point)
            print(
                f"{along:8} {point.value:8,}  {point.seconds * 1e3:9.0f} ms ×{point.seconds / first.seconds:5.2f}"
                f"  {point.temporaries / 1e6:9.1f} MB ×{point.temporaries / first.temporaries:5.2f}",
                flush=True,
            )
    if args.out:
        _draw(points, args.out)
        print(args.out)


def _measure(config: ModelConfig, along: str, doubling: int, side: int, rounds: int) -> Point:
    factor = 2**doubling
    frames = 2 * factor if along == "frames" else 2
    batch = factor if along == "batch" else 1
    height = side * factor if along == "pixels" else side
    if along == "filters":
        filters = config.groups * 8 * factor
        config = dataclasses.replace(config, filters=filters)
    model = config.build()
    x = jnp.asarray(np.random.default_rng(0).random((batch, frames, height, side, 3), np.float32))
    params = random_params(model, x)

    def forward(params: Any, x: jax.Array) -> jax.Array:
        output: Any = model.apply({"params": params}, x)
        return output.image

    compiled = jax.jit(forward).lower(params, x).compile()
    jax.block_until_ready(compiled(params, x))
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        jax.block_until_ready(compiled(params, x))
        seconds.append(time.process_time() - start)
    values = {"frames": 2 * frames - 1, "pixels": height * side, "batch": batch, "filters": config.filters}
    memory = compiled.memory_analysis()
    assert memory is not None  # on every platform that this runs on
    return Point(along, values[along], statistics.median(seconds), memory.temp_size_in_bytes)


def _draw(points: list[Point], path: Path) -> None:
    """A panel for each quantity: time and memory over its smallest value's, and the line that is proportional."""
    from matplotlib.figure import Figure

    alongs = list(dict.fromkeys(point.along for point in points))
    figure = Figure(figsize=(3.2 * len(alongs), 3.2), layout="constrained")
    for axes, along in zip(figure.subplots(1, len(alongs), squeeze=False)[0], alongs, strict=True):
        own = [point for point in points if point.along == along]
        values = [point.value for point in own]
        axes.plot(values, [value / values[0] for value in values], color="0.7", linestyle="--", label="proportional")
        axes.plot(values, [point.seconds / own[0].seconds for point in own], marker="o", label="processor time")
        axes.plot(values, [point.temporaries / own[0].temporaries for point in own], marker="s", label="temporaries")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xticks(values, [f"{value:,}" for value in values])
        axes.set_yticks([1, 2, 4, 8, 16][: len(values) + 1], [f"×{n}" for n in [1, 2, 4, 8, 16][: len(values) + 1]])
        axes.set_xlabel("output frames" if along == "frames" else along)
        axes.minorticks_off()
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=120)
