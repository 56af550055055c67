"""The output file: the encoded video, with sound, subtitles, chapters and metadata of the input as they are."""

import heapq
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Stream

from yogo_jax.errors import UserError
from yogo_jax.video.reader import open_container
from yogo_jax.video.segments import Segments

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mkv": "matroska"}
"""Output containers by the ending of the name."""

# What a muxer writes itself, or what is no longer true of the output.
_STALE = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate"}


@dataclass(frozen=True)
class Timeline:
    """The part of the input that is in the output: seconds on the input's clock; `begin` becomes 0."""

    begin: Fraction = Fraction(0)
    first: Fraction | None = None
    end: Fraction | None = None


def check_streams(source: Path, output: Path, drop: frozenset[int]) -> None:
    """Raises UserError when a stream of `source` cannot go along into `output` as it is."""
    output_format = FORMATS[output.suffix.lower()]
    with open_container(source) as container:
        _try_headers(_copied_streams(container, output_format, drop), output_format)


def _copied_streams(container: InputContainer, output_format: str, drop: frozenset[int]) -> list[Stream]:
    kept: list[Stream] = []
    for stream in container.streams:
        wanted = stream.type in ("audio", "subtitle") or (stream.type == "attachment" and output_format == "matroska")
        if wanted and stream.index not in drop:
            kept.append(stream)
    return kept


def _try_headers(streams: list[Stream], output_format: str) -> None:
    for stream in streams:
        name = stream.codec_context.name if stream.codec_context else "attachment"
        try:
            with av.open(io.BytesIO(), "w", format=output_format) as trial:
                trial.add_stream_from_template(stream)
                trial.start_encoding()
        except (FFmpegError, ValueError):
            other = " or name the output .mkv" if output_format != "matroska" else ""
            raise UserError(
                f"{output_format} cannot hold stream {stream.index} ({stream.type}, {name}) as it is:"
                f" leave it out with --drop {stream.index}{other}"
            ) from None


def assemble(
    path: Path,
    segments: Segments,
    source: Path | None,
    display_matrix: tuple[int, ...] | None,
    timeline: Timeline,
    drop: frozenset[int] = frozenset(),
) -> None:
    """Write the output to `path` (its ending says the container) and flush it to the disk.

    source: the input whose other streams, chapters and metadata go along; None for a folder of images.
    """
    encoding, name = segments.encoding, FORMATS[path.suffix.lower()]
    options = {"movflags": "+faststart"} if name == "mp4" else {}
    with av.open(f"file:{path}", "w", format=name, container_options=options) as output:
        video: Any = output.add_stream(encoding.codec, rate=encoding.rate)
        encoding.configure(video.codec_context)
        video.time_base = encoding.time_base
        if display_matrix:
            video.set_display_matrix(display_matrix)
        if name == "mp4" and encoding.codec == "libx265":
            video.codec_context.codec_tag = "hvc1"  # QuickTime plays no other
        if source is None:
            _mux(output, _video_packets(segments, video))
        else:
            with open_container(source) as container:
                _with_source(output, container, video, segments, timeline, name, drop)
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _with_source(output, container, video, segments, timeline, name, drop) -> None:
    streams = _copied_streams(container, name, drop)
    outputs = {}
    for stream in streams:
        copy = output.add_stream_from_template(stream)
        copy.metadata.update(_metadata(stream.metadata))
        copy.disposition = stream.disposition
        outputs[stream.index] = copy
    output.metadata.update(_metadata(container.metadata))
    output.set_chapters(_chapters(container.chapters(), timeline))
    packets = _video_packets(segments, video)
    playing = [stream for stream in streams if stream.type != "attachment"]
    if playing:
        copies = _copied_packets(container, playing, outputs, timeline, name == "matroska")
        packets = heapq.merge(packets, copies, key=lambda entry: entry[0])
    _mux(output, packets)


def _mux(output: OutputContainer, packets: Iterator[tuple[Fraction, av.Packet]]) -> None:
    output.start_encoding()
    for _, packet in packets:
        output.mux_one(packet)


def _video_packets(segments: Segments, stream: Any) -> Iterator[tuple[Fraction, av.Packet]]:
    """Packets with decoding times that rise over the whole video.

    Each segment comes from its own encoder, whose decoding times start anew. Here a packet is decoded at the
    presentation time `delay` frames earlier in order, with the largest delay that any segment needs.
    """
    encoding, times = segments.encoding, segments.times()
    delay = max((_reorder_delay(segment) for segment in times), default=0)
    shown = np.concatenate([np.sort(segment) for segment in times])
    step = max(1, round(1 / encoding.rate / encoding.time_base))
    for number, packet in enumerate(segments.packets()):
        decode = int(shown[number - delay] if number >= delay else shown[0] - (delay - number) * step)
        copy = av.Packet(packet.data)
        copy.pts, copy.dts, copy.duration = packet.pts, decode, packet.duration
        copy.time_base, copy.stream, copy.is_keyframe = encoding.time_base, stream, packet.key
        yield decode * encoding.time_base, copy


def _reorder_delay(times: np.ndarray) -> int:
    """Frames by which decoding must run ahead of showing, for packets in this order."""
    place = np.searchsorted(np.sort(times), times)
    return int(np.max(np.arange(len(times)) - place, initial=0))


def _copied_packets(container, streams, outputs, timeline, positive) -> Iterator[tuple[Fraction, av.Packet]]:
    """Packets of the input's other streams on the output's clock; the order within a stream is kept."""
    last: dict[int, int] = {}
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):  # a damaged end: what was read is kept
            return
        first = packet.dts if packet.pts is None else packet.pts
        if first is None:
            continue
        pts: int = first
        index, base = packet.stream_index, packet.time_base
        dts = packet.dts if packet.dts is not None else pts
        if timeline.first is not None and (pts + (packet.duration or 0)) * base <= timeline.first:
            continue
        if timeline.end is not None and pts * base >= timeline.end:
            continue
        shift = round(timeline.begin / base)
        pts, dts = pts - shift, dts - shift
        if positive and pts < 0:
            continue  # the encoder's run-up: Matroska has no negative times, and players would drop it
        dts = max(dts, last.get(index, dts - 1) + 1)
        last[index] = dts
        packet.pts, packet.dts = max(pts, dts), dts
        packet.stream = outputs[index]
        yield dts * base, packet


def _metadata(metadata: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if name.lower() not in _STALE}


def _chapters(chapters: list, timeline: Timeline) -> list:
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
