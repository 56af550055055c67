"""`yogo bench upscale`: a video from file to file, against its network alone and against FFmpeg's filters."""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph

from yogo_jax.bench.measure import Result, Work, add_threads, compare, use_threads
from yogo_jax.cli.arguments import at_least
from yogo_jax.devices import split_cpu
from yogo_jax.errors import UserError
from yogo_jax.imaging import SCALE
from yogo_jax.video.encoding import CODECS
from yogo_jax.video.frames import Frame
from yogo_jax.video.memory import devices_for, fitting_tile
from yogo_jax.video.network import Network, load_network, tiled
from yogo_jax.video.options import Options
from yogo_jax.video.pipeline import upscale_file
from yogo_jax.video.reader import VideoReader
from yogo_jax.video.windows import windows

RATE = 25

CLASSICAL = {
    "ffmpeg minterpolate, bicubic": "minterpolate=fps={rate},scale={width}:{height}:flags=bicubic",
    "ffmpeg blend, bicubic": "minterpolate=fps={rate}:mi_mode=blend,scale={width}:{height}:flags=bicubic",
}
"""What one would use without a network: motion-compensated new frames, or blended ones; enlarged after it."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--video", type=Path, help="its first frames, brought to the size (default: a moving pattern)")
    parser.add_argument("--width", type=at_least(32), default=480, help="of an input frame (default 480)")
    parser.add_argument("--height", type=at_least(32), default=270, help="of an input frame (default 270)")
    parser.add_argument("--frames", type=at_least(4), default=13, help="input frames (default 13)")
    parser.add_argument("--weights", type=Path, help="weight file (default: the packaged model)")
    parser.add_argument("--rounds", type=at_least(1), default=1, help="timed runs of each (default 1)")
    add_threads(parser, 2)


def run(args: argparse.Namespace) -> None:
    if args.width % 2 or args.height % 2:
        raise UserError(f"{args.width}x{args.height} pixels: width and height are even in such video")
    use_threads(args.threads)
    split_cpu(devices_for(None))
    network = load_network(args.weights)
    options = _with_tile(network, args.height, args.width)
    with tempfile.TemporaryDirectory() as scratch:
        clip, output = Path(scratch, "in.mkv"), Path(scratch, "out.mp4")
        _write(clip, args.width, args.height, _pictures(args.video, args.frames, args.width, args.height))
        frames = list(VideoReader(clip))
        if len(frames) < args.frames:
            raise UserError(f"{args.video} has {len(frames)} frames, fewer than --frames {args.frames}")
        began = time.perf_counter()
        _network_alone(frames[: network.frames], network, options)
        took = time.perf_counter() - began
        print(f"{len(frames)} frames of {args.width}×{args.height}, {args.threads} threads, tile {options.tile}")
        print(f"compiling, and the first window: {took:.1f} s")
        works: dict[str, Work] = {
            "yogo upscale": partial(upscale_file, clip, output, network, options),
            "its network alone": partial(_network_alone, frames, network, options),
            **{name: partial(_filtered, clip, output, filters) for name, filters in CLASSICAL.items()},
        }
        results = compare({name: partial(_ready, work) for name, work in works.items()}, args.rounds, warm=False)
    print(_table(results, 2 * len(frames) - 1))


def _ready(work: Work) -> Work:
    """Nothing is left to prepare: the network is compiled, and FFmpeg always is."""
    return work


def _with_tile(network: Network, height: int, width: int) -> Options:
    """The tile noted, so that all runs have the same, whatever memory is free by then."""
    options = Options(overwrite=True)
    return dataclasses.replace(options, tile=fitting_tile(network, height, width, np.dtype(np.uint8), options))


def _network_alone(frames: list[Frame], network: Network, options: Options) -> None:
    assert options.tile is not None
    parts = ((None, part.images) for part in windows(frames, network.frames))
    for _ in tiled(network, options.tile, options)(parts):
        pass


def _filtered(source: Path, output: Path, filters: str) -> None:
    """The same doubling and enlarging by FFmpeg, encoded as `yogo upscale` encodes."""
    with av.open(str(source)) as container, av.open(str(output), "w") as target:
        stream = container.streams.video[0]
        width, height = stream.width * SCALE, stream.height * SCALE
        options = {"crf": CODECS["libx264"] or "", "preset": "medium"}
        video: Any = target.add_stream("libx264", rate=2 * RATE, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        graph = Graph()
        graph.link_nodes(graph.add_buffer(template=stream), *_nodes(graph, filters, width, height)).configure()
        for frame in (*container.decode(stream), None):
            graph.push(frame)
            for made in _pulled(graph):
                made.pict_type = 0  # the encoder's choice, not the source's
                target.mux(video.encode(made))
        target.mux(video.encode(None))


def _nodes(graph: Graph, filters: str, width: int, height: int) -> list[Any]:
    texts = filters.format(rate=2 * RATE, width=width, height=height).split(",")
    return [*(graph.add(*text.split("=", 1)) for text in texts), graph.add("buffersink")]


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):
            return


def _pictures(video: Path | None, count: int, width: int, height: int) -> Iterator[np.ndarray]:
    """[H, W, 3] uint8: the first frames of a video, or blocks that move by three pixels a frame."""
    if video is not None:
        for frame, _ in zip(VideoReader(video), range(count), strict=False):
            shrunk = av.VideoFrame.from_ndarray(
                frame.image, format="rgb24" if frame.image.dtype == np.uint8 else "rgb48"
            )
            yield shrunk.reformat(width, height, "rgb24").to_ndarray()
        return
    rng = np.random.default_rng(0)
    blocks = (
        rng.integers(0, 256, (height // 8 + 1, (width + 3 * count) // 8 + 1, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    )
    for number in range(count):
        yield np.ascontiguousarray(blocks[:height, 3 * number : 3 * number + width])


def _write(path: Path, width: int, height: int, images: Iterator[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=Fraction(RATE), options={"crf": "18"})
        video.width, video.height = width, height
        for image in images:
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))


def _table(results: list[Result], frames: int) -> str:
    """A line for each contender; the ratio is its speed over the first one's."""
    first = results[0]
    lines = [f"{'':30} {'frames/s':>9} {'peak':>9} {'times as fast':>14}"]
    for result in results:
        peak = "n/a" if result.peak is None else f"{result.peak / 1e6:.0f} MB"
        speed, ratio = frames / result.median, first.median / result.median
        lines.append(f"{result.name:30} {speed:9.2f} {peak:>9} {ratio:14.2f}")
    return "\n".join(lines)
