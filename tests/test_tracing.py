import gc

import jax
import pytest

from yogo_jax.tracing import uncollected


def test_collects_no_garbage_while_tracing_and_does_again_after_it():
    seen = []

    @jax.jit
    @uncollected()
    def function(x):
        seen.append(gc.isenabled())
        return x + 1

    assert gc.isenabled()
    assert function(1.0) == 2
    assert function(2.0) == 3
    assert seen == [False]  # traced once
    assert gc.isenabled()


def test_collects_again_after_an_error():
    with pytest.raises(ZeroDivisionError), uncollected():
        1 / 0  # noqa: B018
    assert gc.isenabled()


def test_leaves_a_collector_alone_that_was_off():
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
