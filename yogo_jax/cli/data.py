"""`yogo data`: build data sets, and show what is in them."""

import argparse
from pathlib import Path

from yogo_jax.cli.arguments import at_least
from yogo_jax.errors import UserError

NAMES = ("vimeo90k_septuplet", "vid4", "video_clips")


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="build|show")
    build = actions.add_parser("build", help="write a data set from footage on disk")
    names = build.add_subparsers(dest="name", required=True, metavar="NAME")
    septuplets = names.add_parser("vimeo90k_septuplet", help="the unpacked official Vimeo90K archive")
    for motion in ("fast", "medium", "slow"):
        septuplets.add_argument(
            f"--{motion}", type=Path, metavar="LIST", help=f"Zooming Slow-Mo's {motion} test list: a split of its own"
        )
    vid4 = names.add_parser("vid4", help="the four folders of Vid4")
    clips = names.add_parser("video_clips", help="any folder of videos and folders of images")
    clips.add_argument("--stride", type=at_least(1), default=7, help="frames from one example to the next (7)")
    clips.add_argument(
        "--shrink",
        type=lambda text: text if text == "auto" else int(text),
        default="auto",
        help="divide both sides: auto (videos of 720p by 2, of 1080p by 3), or a number",
    )
    clips.add_argument("--exclude", nargs="+", default=(), metavar="PATTERN", help="clips to leave out")
    clips.add_argument("--held-out", nargs="+", default=(), metavar="PATTERN", help="clips of the test split")
    clips.add_argument("--test-fraction", type=float, default=0.1, help="of the clips, if none is named (0.1)")
    for subparser in (septuplets, vid4, clips):
        subparser.add_argument("--source", type=Path, required=True, help="the footage")
        subparser.add_argument("--workers", type=at_least(1), help="processes (one for each core)")
        subparser.add_argument(
            "--max-skipped", type=at_least(0), default=0, help="unusable frames or clips to tolerate (0)"
        )
    show = actions.add_parser("show", help="print splits, counts and sizes, and write contact sheets")
    show.add_argument("name", metavar="NAME", choices=NAMES, help=", ".join(NAMES))
    show.add_argument("--rows", type=at_least(1), default=12, help="examples on a contact sheet (12)")
    show.add_argument("--out", type=Path, help="folder of the contact sheets (beside the shards)")
    for subparser in (septuplets, vid4, clips, show):
        subparser.add_argument("--data-dir", type=Path, required=True, help="the folder of data sets")


def run(args: argparse.Namespace) -> None:
    try:
        _run(args)
    except OSError as error:
        raise UserError(f"{error.filename or args.data_dir}: {error.strerror or error}") from error


def _run(args: argparse.Namespace) -> None:
    # TFDS takes seconds to import: not for --help.
    from data_pipelines import contact_sheet, source
    from data_pipelines.vid4 import Vid4
    from data_pipelines.video_clips import VideoClips
    from data_pipelines.vimeo90k_septuplet import Vimeo90kSeptuplet

    if args.action == "build":
        options = {
            name: value for name, value in vars(args).items() if name not in ("command", "action", "name", "overrides")
        }
        builders = {"vimeo90k_septuplet": Vimeo90kSeptuplet, "vid4": Vid4, "video_clips": VideoClips}
        builders[args.name](**options).download_and_prepare()
        print(source.summary(args.data_dir, args.name))
        return
    print(source.summary(args.data_dir, args.name))
    for path in contact_sheet.write(args.data_dir, args.name, args.out, rows=args.rows):
        print(path)
