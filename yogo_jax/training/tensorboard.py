"""Scalars and pictures as the event files that the stock TensorBoard reads. Needs the extra `tensorboard`."""

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[attr-defined]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[attr-defined]
from tensorboard.summary.writer.event_file_writer import EventFileWriter


class TensorBoardWriter:
    """Events of one run in `directory`; those that an earlier start wrote past `step` are withdrawn."""

    def __init__(self, directory: Path, step: int) -> None:
        self._writer = EventFileWriter(str(directory))
        start = SessionLog(status=SessionLog.START)
        self._writer.add_event(Event(step=step + 1, wall_time=time.time(), session_log=start))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve."""
        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step, points)

    def picture(self, step: int, tag: str, png: bytes, shape: tuple[int, ...]) -> None:
        """An encoded picture of [H, W, 3]."""
        height, width, _ = shape
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        self._add(step, [Summary.Value(tag=tag, image=image)])

    def close(self) -> None:
        """Write out everything."""
        self._writer.close()

    def _add(self, step: int, values: list) -> None:
        self._writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=values)))
