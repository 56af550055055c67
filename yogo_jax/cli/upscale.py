"""`yogo upscale`: videos of four times the size and twice the rate, or more."""

import argparse
import dataclasses
import glob
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from yogo_jax.cli.arguments import at_least, between, pixels, seconds, size
from yogo_jax.errors import UserError
from yogo_jax.video.encoding import CODECS
from yogo_jax.video.options import Options

_EPILOG = """\
examples:
  yogo upscale holiday.mov holiday_4x.mp4            sound, subtitles, chapters and times come along
  yogo upscale film.mkv look.mp4 --preview           a few seconds from the middle, input and result side by side
  yogo upscale film.mkv film_4x.mkv --codec libx265 --crf 18 --preset slow
  yogo upscale tape.avi frames                       a folder of PNG files
  yogo upscale frames clip.mp4 --fps 24              a folder of images
  yogo upscale 'clips/*.mp4' 'large/{name}.mkv'      several, by a pattern

A run that was stopped (Ctrl-C, a crash, a full disk) goes on where it was when the same command is given
again: finished work is kept in a hidden folder beside OUTPUT until OUTPUT is there.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("input", nargs="+", metavar="INPUT", help="video file, folder of images, or a quoted pattern")
    parser.add_argument(
        "output",
        metavar="OUTPUT",
        help=".mp4 or .mkv file, or a name without an ending for a folder of PNG; with several inputs it"
        " contains {name}, which stands for the input's",
    )
    parser.add_argument("--weights", type=Path, metavar="PATH", help="weight file (default: the packaged model)")
    parser.add_argument("--overwrite", action="store_true", help="replace an OUTPUT that exists")
    parser.add_argument("--json", action="store_true", help="print a summary as a line of JSON for each input")

    what = parser.add_argument_group("what to make")
    kind = what.add_mutually_exclusive_group()
    kind.add_argument("--scale-only", action="store_true", help="the known frames at four times the size, no new ones")
    kind.add_argument("--rate-only", action="store_true", help="twice the frames at the input's size")
    what.add_argument(
        "--rate",
        type=at_least(2, 16),
        default=2,
        metavar="N",
        help="output frames for each input frame, 2 to 16 (default 2; more takes weights of TMNet)",
    )
    what.add_argument("--start", type=seconds, default=0.0, metavar="TIME", help="from here: seconds, or 1:02:03.5")
    what.add_argument("--end", type=seconds, metavar="TIME", help="up to here")
    what.add_argument(
        "--preview",
        type=seconds,
        nargs="?",
        const=4.0,
        metavar="SECONDS",
        help="only so much from the middle (default 4 s), bicubic and result side by side",
    )
    what.add_argument(
        "--cut-threshold",
        type=between(0.01, 1000),
        default=Options.cut_threshold,
        metavar="X",
        help="how far a frame's change must stand out from its neighbours' to begin a shot (default %(default)s)",
    )
    what.add_argument("--no-cuts", action="store_true", help="do not look for cuts: blend across them")
    what.add_argument("--no-duplicates", action="store_true", help="treat repeated frames as any others")
    what.add_argument(
        "--interlaced", action="store_true", help="keep interlaced frames as they are: do not deinterlace"
    )

    encoder = parser.add_argument_group("encoding, as in FFmpeg")
    encoder.add_argument(
        "--codec", choices=list(CODECS), help="default: libx264, and libx265 for inputs of more than 8 bits"
    )
    encoder.add_argument(
        "--crf",
        type=between(0, 63),
        metavar="Q",
        help="quality; less is better (default 18 for libx264, 20 libx265, 28 libsvtav1)",
    )
    encoder.add_argument("--preset", metavar="NAME", help="speed against size (default medium, 8 for libsvtav1)")
    encoder.add_argument("--pix-fmt", metavar="NAME", help="default: yuv420p, or yuv420p10le for more than 8 bits")

    source = parser.add_argument_group("input")
    source.add_argument(
        "--fps",
        type=between(0.01, 1000),
        default=Options.fps,
        metavar="N",
        help="of a folder of images (default %(default)g)",
    )
    source.add_argument("--drop", type=_streams, default=frozenset(), metavar="N,…", help="leave these streams out")
    source.add_argument("--damaged", action="store_true", help="take a truncated file for what it still holds")

    machine = parser.add_argument_group("machine")
    machine.add_argument("--memory", type=size, metavar="SIZE", help="such as 4GB (default: half of what is free)")
    machine.add_argument("--tile", type=pixels, metavar="WxH", help="in input pixels (default: what the memory allows)")
    machine.add_argument("--overlap", type=at_least(0), metavar="N", help="input pixels that tiles share")


def run(args: argparse.Namespace) -> int:
    """Every input in turn; one that fails does not keep the others from being done."""
    jobs = _jobs(args.input, args.output)
    from yogo_jax.devices import split_cpu
    from yogo_jax.video.memory import devices_for
    from yogo_jax.video.network import load_network

    split_cpu(devices_for(args.memory))
    network = load_network(args.weights, rate=args.rate)
    failed = False
    for source, output in jobs:
        try:
            _upscale(source, output, network, args)
        except (UserError, OSError) as error:
            if len(jobs) == 1:
                raise
            print(f"yogo: {error}", file=sys.stderr)
            failed = True
        except KeyboardInterrupt:
            print("yogo: stopped; the same command goes on from here", file=sys.stderr)
            return 130
    return 2 if failed else 0


def _upscale(source: Path, output: Path, network, args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from yogo_jax.video.pipeline import upscale_file

    options = _options(source, args)
    with tqdm(unit=" frames", desc=source.name, file=sys.stderr, dynamic_ncols=True, smoothing=0.1) as bar:
        bar.set_postfix_str("preparing the network")

        def progress(done: int, total: int | None, seconds: float) -> None:
            bar.total = total
            elapsed = bar.format_dict["elapsed"] or 1e-9
            bar.set_postfix_str(f"{seconds / elapsed:.2g}× real time", refresh=False)
            bar.update(done - bar.n)

        def tell(line: str) -> None:
            bar.write(f"yogo: {line}", file=sys.stderr)

        summary = upscale_file(source, output, network, options, progress, tell)
    if args.json:
        print(json.dumps(dataclasses.asdict(summary)), flush=True)
    else:
        print(
            f"{summary.output}: {summary.frames_out} frames from {summary.frames_in},"
            f" {summary.video_seconds:.1f} s of video in {summary.seconds:.1f} s"
        )


def _options(source: Path, args: argparse.Namespace) -> Options:
    options = Options(
        cut_threshold=None if args.no_cuts else args.cut_threshold,
        duplicates=not args.no_duplicates,
        deinterlace=not args.interlaced,
        **{
            name: getattr(args, name)
            for name in (
                *("codec", "crf", "preset", "pix_fmt", "scale_only", "rate_only", "start", "end"),
                *("memory", "tile", "overlap", "fps", "drop", "overwrite", "damaged"),
            )
        },
    )
    if options.end is not None and options.end <= options.start:
        raise UserError(f"--end {options.end:g} is not after --start {options.start:g}")
    if args.preview is None:
        return options
    from yogo_jax.video.pipeline import open_source

    if args.preview == 0:
        raise UserError("--preview 0: a preview lasts more than 0 seconds")
    length = open_source(source, options).video.duration
    if length is None:
        raise UserError(f"{source} does not say how long it is: use --start and --end for a part of it")
    begin, last = options.start, min(length, options.end or length)
    middle = (begin + last) / 2
    start, end = max(begin, middle - args.preview / 2), min(last, middle + args.preview / 2)
    return dataclasses.replace(options, start=start, end=end, side_by_side=True)


def _jobs(inputs: list[str], output: str) -> list[tuple[Path, Path]]:
    """(input, output) of every video; patterns that the shell left alone are expanded here."""
    sources = [Path(found) for each in inputs for found in _expanded(each)]
    several = len(sources) > 1
    if several and "{name}" not in output:
        raise UserError(f"{len(sources)} inputs and one output {output!r}: it must contain {{name}}")
    jobs = [(source, Path(output.replace("{name}", source.stem))) for source in sources]
    taken: dict[Path, Path] = {}
    for source, target in jobs:
        if source.resolve() == target.resolve():
            raise UserError(f"{source} is both input and output")
        if target in taken:
            raise UserError(f"{taken[target]} and {source} would both become {target}")
        taken[target] = source
    return jobs


def _expanded(name: str) -> Iterator[str]:
    if Path(name).exists() or not glob.has_magic(name):
        yield name
        return
    found = sorted(glob.glob(name))
    if not found:
        raise UserError(f"nothing matches {name!r}")
    yield from found


def _streams(text: str) -> frozenset[int]:
    if re.fullmatch(r"\d+(,\d+)*", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of stream numbers such as 2 or 2,3")
    return frozenset(map(int, text.split(",")))
