"""Interlaced video (old camcorders, broadcasts): the fields of each frame woven into one whole picture."""

from collections.abc import Callable, Iterator

import av
from av.filter import Graph
from av.video.stream import VideoStream

_LEAST = 3  # columns and lines of a plane: what bwdif takes


def deinterlaced(
    frames: Iterator[av.VideoFrame], stream: VideoStream, begun: Callable[[], None]
) -> Iterator[av.VideoFrame]:
    """The same frames through FFmpeg's bwdif, those marked progressive untouched; times stay, in ticks of their own.

    The filter starts with the first interlaced frame, when `begun` is called, and anew with every change of size or
    format. Frames that are too small for it stay as they are.
    """
    graph, shape = None, None
    for frame in frames:
        if graph is not None and shape != _shape(frame):
            yield from _drained(graph)
            graph = None
        if graph is None and frame.interlaced_frame and _is_large_enough(frame):
            graph, shape = _bwdif(frame, stream), _shape(frame)
            begun()
        if graph is None:
            yield frame
        else:
            graph.push(frame)
            yield from _pulled(graph)
    if graph is not None:
        yield from _drained(graph)


def _shape(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _is_large_enough(frame: av.VideoFrame) -> bool:
    planes = (frame.format.chroma_width(frame.width), frame.format.chroma_height(frame.height))
    return min(frame.width, frame.height, *planes) >= _LEAST


def _bwdif(frame: av.VideoFrame, stream: VideoStream) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=stream.time_base)
    weave = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(weave)
    weave.link_to(sink)
    graph.configure()
    return graph


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):  # wants more first, or has ended
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame


def _drained(graph: Graph) -> Iterator[av.VideoFrame]:
    graph.push(None)
    yield from _pulled(graph)
