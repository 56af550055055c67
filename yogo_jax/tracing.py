"""Tracing in less time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's garbage collector: a decorator for what `jax.jit` traces, and which Python runs only for that.

    A trace is some hundred thousand objects that stay. As they grow in number the collector goes through all of them
    again and again, for a quarter of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
