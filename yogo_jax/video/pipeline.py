"""A video from file to file: decoding, network and encoding side by side, with finished work kept."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import av
import jax

from yogo_jax.errors import UserError
from yogo_jax.imaging import SCALE
from yogo_jax.video.copies import FORMATS, Timeline, check_streams
from yogo_jax.video.encoding import Encoding, choose
from yogo_jax.video.folder import FolderReader, PngFolder, lost_in_pictures
from yogo_jax.video.frames import Video
from yogo_jax.video.job import Job, fingerprint, in_words
from yogo_jax.video.memory import AHEAD, fitting_tile
from yogo_jax.video.mux import assemble
from yogo_jax.video.network import Network, tiled
from yogo_jax.video.options import Options
from yogo_jax.video.prefetch import prefetch
from yogo_jax.video.reader import VideoReader
from yogo_jax.video.render import Counts, Rendering, render
from yogo_jax.video.segments import Segments


@dataclass
class Summary:
    """What a run did: the JSON of `--json`.

    Attributes:
      frames_in, frames_out: of the part of the video that was asked for.
      resumed: output frames that an earlier run had finished.
      cuts, duplicates: input frames that begin a shot (but the first), and that repeat the one before.
      damaged: packets that could not be read.
      video_seconds: that the output plays.
      seconds: of the whole run; `network_seconds`: of these, with the network at work.
      tile: height and width of a tile, in input pixels.
      warnings: what the user should know, a line each.
    """

    input: str
    output: str
    frames_in: int = 0
    frames_out: int = 0
    resumed: int = 0
    cuts: int = 0
    duplicates: int = 0
    damaged: int = 0
    video_seconds: float = 0.0
    seconds: float = 0.0
    network_seconds: float = 0.0
    tile: tuple[int, int] | None = None
    warnings: list[str] = field(default_factory=list)


Progress = Callable[[int, int | None, float], None]
"""Called with the output frames done, the number there will be when it can be told, and the seconds they play."""


def upscale_file(
    source: Path,
    output: Path,
    network: Network,
    options: Options,
    progress: Progress = lambda done, total, seconds: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Summary:
    """Upscale the video file or folder of images `source` into `output`.

    OUTPUT's ending says what becomes of it: .mp4 or .mkv is a video, none is a folder of PNG files. `tell` gets the
    summary's warnings, each as soon as it is sure.

    Raises UserError on anything in the input, the options or the file system that stops the work. Finished
    work is kept then, and the same call goes on from it.
    """
    began = time.perf_counter()
    reader = open_source(source, options)
    video = reader.video
    tick = video.time_base / network.rate
    encoding = _encoding(video, output, network.rate, options)
    if encoding is not None and source.is_file():
        check_streams(source, output, options.drop)
    if options.drop and source.is_dir():
        raise UserError(f"{source} is a folder of images: it has no streams to --drop")
    lost = lost_in_pictures(video) if encoding is None else []
    fitting = fitting_tile(network, video.height, video.width, video.dtype, options)
    conditions = _conditions(source, network, options, encoding)
    job = Job(output, conditions, options.overwrite, folder=encoding is None)
    summary = Summary(str(source), str(output))
    for line in filter(None, [job.afresh, *lost]):
        summary.warnings.append(line)
        tell(line)
    sink, counts, begin, end = None, Counts(), 0, 0
    try:
        tile = summary.tile = job.tile(fitting)
        if encoding is None:
            sink = PngFolder(job.work / "frames", video.display_matrix)
        else:
            sink = Segments(job.work / "segments", encoding)
        summary.resumed = sink.done
        work = tiled(network, tile, options)
        rendered = render(prefetch(reader, AHEAD), work, Rendering.of(network, options), counts, sink.done)
        for shown, image in prefetch(rendered, AHEAD):
            if summary.frames_out == 0:
                begin = shown.pts if options.start > 0 else round(network.rate * reader.begin / video.time_base)
            if image is not None:
                sink.write(image, shown.pts - begin, shown.duration)
            end = shown.pts + shown.duration
            summary.frames_out += 1
            seconds = float((end - begin) * tick)
            progress(summary.frames_out, _expected(video, network.rate, options), seconds)
        sink.finish()
        if isinstance(sink, Segments):
            finished = job.work / f"finished{output.suffix.lower()}"
            timeline = _timeline(begin, end, tick, options)
            try:
                assemble(
                    finished, sink, source if source.is_file() else None, video.display_matrix, timeline, options.drop
                )
            except BaseException:
                finished.unlink(missing_ok=True)  # it would keep a full disk full
                raise
        else:
            finished = job.work / "frames"
        job.place(finished)
    except BaseException as error:
        if sink is not None:
            sink.abandon()
        job.leave()
        raise in_words(error, output) from error
    for line in reader.warnings:
        summary.warnings.append(line)
        tell(line)
    summary.frames_in, summary.cuts, summary.duplicates = counts.frames, counts.cuts, counts.duplicates
    summary.damaged = reader.damaged
    summary.resumed = min(summary.resumed, summary.frames_out)  # a last segment need not be full
    summary.video_seconds = float((end - begin) * tick)
    summary.seconds, summary.network_seconds = time.perf_counter() - began, work.seconds
    return summary


def open_source(source: Path, options: Options) -> VideoReader | FolderReader:
    """The reader for a file or a folder of images. Raises UserError."""
    if source.is_dir():
        return FolderReader(source, options.fps, options.start, options.end)
    return VideoReader(source, options.start, options.end, tolerant=options.damaged, deinterlace=options.deinterlace)


def _encoding(video: Video, output: Path, rate: int, options: Options) -> Encoding | None:
    """How to encode, or None for a folder of PNG files. Raises UserError, before any work is done."""
    ending = output.suffix.lower()
    if not ending:
        return None
    if ending not in FORMATS:
        raise UserError(f"{output}: outputs are {', '.join(FORMATS)}, or a name without an ending for a folder of PNG")
    scale = 1 if options.rate_only else SCALE
    width = video.width * scale * (2 if options.side_by_side else 1)
    encoding = choose(
        video,
        (width, video.height * scale),
        network_rate=rate,
        made=not options.scale_only,
        codec=options.codec,
        crf=options.crf,
        preset=options.preset,
        pix_fmt=options.pix_fmt,
    )
    if encoding.sample_aspect_ratio != 1 and FORMATS[ending] == "matroska" and encoding.codec in ("libsvtav1", "ffv1"):
        # Matroska would take it from the stream, where PyAV cannot put it; the other codecs carry it themselves.
        raise UserError(
            f"{encoding.codec} in Matroska cannot carry the input's pixel aspect ratio {video.sample_aspect_ratio}:"
            " name the output .mp4, or use --codec libx264 or libx265"
        )
    encoding.open()
    return encoding


def _conditions(source: Path, network: Network, options: Options, encoding: Encoding | None) -> dict[str, str]:
    """All that the frames of the output depend on."""
    rest = dataclasses.replace(options, overwrite=False, drop=frozenset())
    return {
        "the input": fingerprint(source),
        "the weights": network.identity,
        "the options": repr((rest, network.rate)),
        "the encoder": repr((encoding, av.library_versions)),
        "the program": repr((version("yogo-jax"), jax.__version__, jax.devices()[0].platform)),
    }


def _timeline(begin: int, end: int, tick: Fraction, options: Options) -> Timeline:
    return Timeline(
        begin=begin * tick,
        first=begin * tick if options.start > 0 else None,
        end=end * tick if options.end is not None else None,
    )


def _expected(video: Video, rate: int, options: Options) -> int | None:
    if video.duration is None and options.end is None:
        return None
    seconds = min(filter(None, (video.duration, options.end))) - options.start
    made = 0 if options.scale_only else rate - 1
    return max(1, round(seconds * video.rate * (1 + made)) - made)
