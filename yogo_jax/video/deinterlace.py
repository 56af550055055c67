"""Interlaced video (old camcorders, broadcasts): the fields of each frame woven into one whole picture."""

from collections.abc import Iterator

import av
from av.error import FFmpegError
from av.filter import Graph
from av.video.stream import VideoStream


def deinterlaced(frames: Iterator[av.VideoFrame], stream: VideoStream) -> Iterator[av.VideoFrame]:
    """The same frames through FFmpeg's bwdif, those marked progressive untouched; times stay.

    bwdif needs one frame of each size and format to start, so a change of these starts it anew.
    """
    graph, shape = None, None
    for frame in frames:
        if graph is None or shape != (frame.width, frame.height, frame.format.name):
            if graph is not None:
                yield from _drained(graph)
            shape = (frame.width, frame.height, frame.format.name)
            graph = Graph()
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=stream.time_base
            )
            weave = graph.add("bwdif", "mode=send_frame:deint=interlaced")
            sink = graph.add("buffersink")
            source.link_to(weave)
            weave.link_to(sink)
            graph.configure()
        graph.push(frame)
        yield from _pulled(graph)
    if graph is not None:
        yield from _drained(graph)


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, FFmpegError):  # wants more first, or has ended
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame


def _drained(graph: Graph) -> Iterator[av.VideoFrame]:
    graph.push(None)
    yield from _pulled(graph)
