"""A CPU as several devices: how many, and what the user has set stays."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax import devices as module
from yogo_jax.devices import compiler_options, cores
from yogo_jax.ops.conv import conv2d
from yogo_jax.training.sharding import most_devices

SPARE = "from yogo_jax.devices import split_cpu, spare_cores; split_cpu({}); print(int(spare_cores()))"
ASK = "from yogo_jax.devices import split_cpu; split_cpu({}); import jax; print(len(jax.devices('cpu')))"


def devices(program: str, **environment: str) -> int:
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    run = subprocess.run([sys.executable, "-c", program], env=kept | environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


def test_a_device_for_each_core_and_no_more():
    assert devices(ASK.format(1000)) == cores()


def test_no_fewer_than_one():
    assert devices(ASK.format(0)) == 1


def test_what_the_user_set_stays():
    assert devices(ASK.format(1), JAX_NUM_CPU_DEVICES="3") == 3
    assert devices(ASK.format(1), XLA_FLAGS="--xla_force_host_platform_device_count=3") == 3


def test_nothing_changes_once_jax_has_started():
    assert devices("import jax; jax.devices();" + ASK.format(5)) == 1


def test_cores_are_spare_where_there_are_fewer_devices():
    assert devices(SPARE.format(1)) == (cores() > 1)
    assert devices(SPARE.format(1000)) == 0


def test_no_cpu_among_the_devices(monkeypatch):
    def refuse(backend):
        raise RuntimeError(f"Unknown backend {backend}")

    monkeypatch.setattr(jax, "local_device_count", refuse)
    assert module.spare_cores()


@pytest.mark.parametrize(
    ("limit", "batch", "accumulate", "fsdp", "most"),
    [
        (2, 2, 1, 1, 2),
        (4, 10, 1, 1, 2),
        (8, 10, 1, 1, 5),
        (8, 8, 2, 1, 4),
        (8, 8, 1, 3, 1),
        (6, 12, 1, 2, 6),
        (2, 3, 1, 1, 1),
    ],
)
def test_the_most_that_divide_a_batch(limit, batch, accumulate, fsdp, most):
    assert most_devices(limit, batch, accumulate, fsdp) == most


def test_convolutions_take_all_cores_where_there_are_twice_as_many(monkeypatch):
    rng = np.random.default_rng(0)
    x, kernel = (jnp.asarray(rng.random(s), jnp.float32) for s in ((1, 40, 50, 24), (3, 3, 24, 24)))
    device = jax.devices()[0]
    monkeypatch.setattr(module, "cores", lambda: 2)
    assert compiler_options([device, device]) is None
    options = compiler_options([device])
    if options is None:
        pytest.skip("this version of XLA has no such option")
    lowered = jax.jit(conv2d).lower(x, kernel)
    usual, spread = lowered.compile(), lowered.compile(compiler_options=options)
    assert "ynn" in usual.as_text()
    assert "ynn" not in spread.as_text()
    np.testing.assert_allclose(spread(x, kernel), usual(x, kernel), rtol=1e-5)


def test_an_option_that_xla_does_not_know_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 2)
    monkeypatch.setattr(module, "_ALL_CORES", (("xla_cpu_of_another_version", "1"),))
    assert compiler_options(jax.devices()[:1]) is None
