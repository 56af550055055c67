"""Scalars and pictures as the event files that the stock TensorBoard reads. Needs the extra `tensorboard`."""

import platform
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[attr-defined]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[attr-defined]
from tensorboard.summary.writer.record_writer import RecordWriter


class TensorBoardWriter:
    """Events of one run in `directory`; those that an earlier start wrote past `step` are withdrawn.

    TensorBoard's own writer works in a thread, which dies with a trace on a full disk; this one raises OSError.
    """

    def __init__(self, directory: Path, step: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a directory in the order of their names.
        path = directory / f"events.out.tfevents.{time.time():.6f}.{platform.node()}"
        self._writer = RecordWriter(path.open("wb", buffering=0))
        self._add(Event(file_version="brain.Event:2"))
        self._add(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve."""
        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(Event(step=step, summary=Summary(value=points)))

    def picture(self, step: int, tag: str, png: bytes, shape: tuple[int, ...]) -> None:
        """An encoded picture of [H, W, 3]."""
        height, width, _ = shape
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        self._add(Event(step=step, summary=Summary(value=[Summary.Value(tag=tag, image=image)])))

    def close(self) -> None:
        """Let go of the file."""
        self._writer.close()

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        self._writer.write(event.SerializeToString())
