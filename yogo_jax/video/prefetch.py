"""A stage of the pipeline in a thread of its own."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_END = object()


def prefetch(items: Iterable[T], depth: int) -> Iterator[T]:
    """The same items, made by a thread that runs at most `depth` of them ahead.

    An exception of the source is raised here, after the items before it. When the consumer stops early the
    thread ends as well.
    """
    ready: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()

    def put(entry: tuple[object, BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
        except BaseException as error:  # whatever it is, the consumer is to see it
            put((_END, error))
        else:
            put((_END, None))

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if item is _END:
                if error is not None:
                    raise error
                return
            yield item  # pyright: ignore[reportReturnType]
    finally:
        stopped.set()
        thread.join()
