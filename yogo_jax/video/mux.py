"""The output file: the finished segments as one video stream, with what the input sends along."""

import contextlib
import heapq
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.error import ArgumentError, InvalidDataError, PatchWelcomeError

from yogo_jax.errors import UserError
from yogo_jax.video.container import main_video, open_container
from yogo_jax.video.copies import (
    FORMATS,
    Timeline,
    copied_packets,
    copied_streams,
    kept_chapters,
    kept_metadata,
)
from yogo_jax.video.segments import Segments

Timed = Iterable[tuple[Fraction, av.Packet]]
"""Packets with their decoding times in seconds, which rise."""


def assemble(
    path: Path,
    segments: Segments,
    source: Path | None,
    display_matrix: tuple[int, ...] | None,
    timeline: Timeline,
    drop: frozenset[int] = frozenset(),
) -> None:
    """Write the output to `path` (its ending says the container), check it and flush it to the disk.

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
        packets = _video_packets(segments, video)
        if source is None:
            _mux(output, packets)
        else:
            _mux_with_source(output, video, packets, source, timeline, name, drop)
    if (found := _video_frames(path)) != (frames := sum(map(len, segments.times()))):
        raise UserError(
            f"{name} took {found} of {frames} frames, so there is no output: another container may take all"
        )
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _mux_with_source(
    output: OutputContainer,
    video: Any,
    packets: Timed,
    source: Path,
    timeline: Timeline,
    name: str,
    drop: frozenset[int],
) -> None:
    with open_container(source) as container:
        if (shown := main_video(container)) is not None:
            video.metadata.update(kept_metadata(shown.metadata))
            video.disposition = shown.disposition
        outputs: dict[int, Any] = {}
        for stream in copied_streams(container, name, drop):
            copy = output.add_stream_from_template(stream)
            copy.metadata.update(kept_metadata(stream.metadata))
            if stream.type != "attachment":
                copy.disposition = stream.disposition
                outputs[stream.index] = copy
        output.metadata.update(kept_metadata(container.metadata))
        output.set_chapters(kept_chapters(container.chapters(), timeline))
        if outputs:
            copies = copied_packets(container, outputs, timeline, name == "matroska")
            packets = heapq.merge(packets, copies, key=lambda entry: entry[0])
        _mux(output, packets)


def _mux(output: OutputContainer, packets: Timed) -> None:
    output.start_encoding()
    for _, packet in packets:
        # A copied packet that is damaged, or has impossible times, must not cost the video. It may be
        # another than the one just given, which waited for its turn; `assemble` tells when some of the video
        # is missing.
        with contextlib.suppress(ArgumentError, InvalidDataError, PatchWelcomeError):
            output.mux_one(packet)


def _video_frames(path: Path) -> int:
    with open_container(path) as container:
        return sum(1 for packet in container.demux(container.streams.video[0]) if packet.size)


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
