"""What of the input goes into the output as it is: sound, subtitles, fonts, chapters, metadata."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream

from yogo_jax.errors import UserError
from yogo_jax.video.container import main_video, open_container

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mkv": "matroska"}
"""Output containers by the ending of the name."""

# Beginnings of what a muxer writes itself, or what is no longer true of the output (statistics of Matroska).
_STALE = (
    *("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate"),
    *("bps", "number_of_frames", "number_of_bytes", "_statistics"),
)

_LARGEST_TIME = 2**60  # ticks; beyond it sums overflow
_TRIED_PACKETS = 500  # from the beginning of the input, to see what the output's container makes of them


@dataclass(frozen=True)
class Timeline:
    """The part of the input that is in the output, in seconds on the input's clock.

    Attributes:
      begin: becomes 0.
      first, end: nothing before and after these; None leaves that side whole.
    """

    begin: Fraction = Fraction(0)
    first: Fraction | None = None
    end: Fraction | None = None


def check_streams(source: Path, output: Path, drop: frozenset[int]) -> None:
    """Raises UserError when a stream of `source` cannot go into `output` as it is, or be dropped; tried in memory."""
    output_format = FORMATS[output.suffix.lower()]
    with open_container(source) as container:
        video = main_video(container)
        for index in sorted(drop):
            if index >= len(container.streams):
                raise UserError(f"--drop {index}: {source} has streams 0 to {len(container.streams) - 1}")
            if video is not None and index == video.index:
                raise UserError(f"--drop {index}: that stream of {source} is the video itself")
        streams = copied_streams(container, output_format, drop)
        playing = [stream for stream in streams if stream.type != "attachment"]
        first: dict[int, av.Packet] = {}
        try:
            for packet in islice(container.demux(*playing), _TRIED_PACKETS) if playing else ():
                if packet.size:
                    first.setdefault(packet.stream_index, packet)
        except FFmpegError:
            pass  # damaged further on: what can be read will be copied
        for stream in streams:
            try:
                with av.open(io.BytesIO(), "w", format=output_format) as trial:
                    copy = trial.add_stream_from_template(stream)
                    trial.start_encoding()
                    if packet := first.get(stream.index):
                        packet.stream, packet.pts, packet.dts = copy, 0, 0
                        trial.mux_one(packet)
            except (FFmpegError, ValueError):
                codec = stream.codec_context.name if stream.codec_context else "no known codec"
                other = " or name the output .mkv" if output_format != "matroska" else ""
                raise UserError(
                    f"{output_format} cannot hold stream {stream.index} of {source} ({stream.type}, {codec}) as it"
                    f" is: leave it out with --drop {stream.index}{other}"
                ) from None


def copied_streams(container: InputContainer, output_format: str, drop: frozenset[int]) -> list[Stream]:
    """Sound and subtitles, and in Matroska the fonts of subtitles."""
    kinds = ("audio", "subtitle", "attachment") if output_format == "matroska" else ("audio", "subtitle")
    return [stream for stream in container.streams if stream.type in kinds and stream.index not in drop]


def copied_packets(
    container: InputContainer, outputs: Mapping[int, Any], timeline: Timeline, matroska: bool
) -> Iterator[tuple[Fraction, av.Packet]]:
    """(decoding time in seconds, packet) of the streams whose outputs are given, on the output's clock."""
    last: dict[int, int] = {}
    packets = container.demux(*(container.streams[index] for index in outputs))
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):  # a damaged end: what was read is kept
            return
        pts = packet.dts if packet.pts is None else packet.pts
        if pts is None or abs(pts) > _LARGEST_TIME:
            continue
        index, base = packet.stream_index, packet.time_base
        dts = pts if packet.dts is None else packet.dts
        if timeline.first is not None and (pts + (packet.duration or 0)) * base <= timeline.first:
            continue
        if timeline.end is not None and pts * base >= timeline.end:
            continue
        shift = round(timeline.begin / base)
        pts, dts = pts - shift, dts - shift
        if matroska and pts < 0 and pts + (packet.duration or 0) <= 0:
            continue  # the encoder's run-up: Matroska has no negative times, and players would drop it
        # Matroska takes packets of equal times (subtitles), MP4 does not.
        dts = max(dts, last[index] + (not matroska)) if index in last else dts
        last[index] = dts
        packet.pts, packet.dts = max(pts, dts), dts
        packet.stream = outputs[index]
        yield dts * base, packet


def kept_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Without what the muxer writes itself, or what is no longer true."""
    return {name: value for name, value in metadata.items() if not name.lower().startswith(_STALE)}


def kept_chapters(chapters: list, timeline: Timeline) -> list:
    """Chapters on the output's clock, cut to the part that is in it."""
    kept = []
    for chapter in chapters:
        base = chapter["time_base"]
        start, end = chapter["start"] * base, chapter["end"] * base
        if timeline.first is not None:
            start = max(start, timeline.first)
        if timeline.end is not None:
            end = min(end, timeline.end)
        if start < end:
            shifted = {"start": round((start - timeline.begin) / base), "end": round((end - timeline.begin) / base)}
            kept.append({**chapter, **shifted})
    return kept
