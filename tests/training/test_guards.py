"""What cannot work is said in one line before anything is compiled; what fails later leaves the last good state."""

import dataclasses
import importlib.util
import resource
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax.configuration import Config, OptimConfig
from yogo_jax.errors import UserError
from yogo_jax.ops.conv import conv2d
from yogo_jax.training.ahead_of_time import (
    collectives,
    compile_for,
    compile_inference,
    multiply_adds,
    operations,
    topology_devices,
)
from yogo_jax.training.checkpoint import Checkpoints
from yogo_jax.training.distributed import initialise
from yogo_jax.training.guards import check_batch, check_config, offset_warnings
from yogo_jax.training.optimiser import make_optimiser
from yogo_jax.training.state import TrainState
from yogo_jax.training.train import train


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("data", {"patch": (30, 32)}, "data.patch=(30, 32)"),
        ("data", {"batch": 12}, "16 would do"),
        ("data", {"batch": 0}, "data.batch=0"),
        ("train", {"fsdp": 3}, "does not divide 8 devices"),
        ("train", {"steps": 0}, "train.steps=0"),
        ("optim", {"accumulate": 3}, "data.batch=16"),
        ("optim", {"ema_decay": 1.0}, "optim.ema_decay=1.0"),
        ("optim", {"boundaries": (20, 10)}, "they ascend"),
        ("optim", {"boundaries": (20, 20)}, "they ascend"),
        ("train", {"seed": 2**31}, "less than 2^31"),
        ("optim", {"warmup_steps": 452_270}, "it takes fewer"),
        ("optim", {"learning_rate": 0.0}, "more than 0"),
        ("optim", {"charbonnier_width": 0.0}, "optim.charbonnier_width=0.0"),
        ("optim", {"b2": 1.0}, "optim.b2=1.0"),
        ("optim", {"final_fraction": -0.1}, "0 or more"),
    ],
)
def test_a_config_that_cannot_work_fails_early(section, values, message, tmp_path):
    config = Config()
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, batch=16))
    check_config(config, devices=8)
    broken = dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **values)})
    with pytest.raises(UserError) as error:
        train(broken, tmp_path / "run")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_clips_of_too_few_frames_are_refused():
    with pytest.raises(UserError, match="clips have 1 frames"):
        check_batch({"lr": np.zeros((1, 1, 8, 8, 3)), "hr": np.zeros((1, 1, 32, 32, 3))})
    check_batch({"lr": np.zeros((1, 4, 8, 8, 3)), "hr": np.zeros((1, 7, 32, 32, 3))})


def test_a_workdir_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    config = dataclasses.replace(Config(), data=dataclasses.replace(Config().data, batch=8))
    with pytest.raises(UserError, match="cannot write a run here"):
        train(config, tmp_path / "file" / "run")


@pytest.mark.skipif(sys.platform != "linux", reason="file size limits")
# Orbax closes its event loop at the first write that fails; those still on their way may then complain to nobody.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_an_error_and_the_last_checkpoint_stays(tmp_path, caplog):
    def state(step: int, size: int) -> TrainState:
        count = jnp.asarray(step, jnp.int32)
        values = np.random.default_rng(step).normal(size=size).astype(np.float32)
        return TrainState(count, {"w": jnp.asarray(values)}, None, (), count * 0, count * 0)

    config, good = Config(), state(1, 1000)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(good, config, {"next_index": 1})
    checkpoints.wait()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))  # what a full disk does: writes fail half way
    try:
        with pytest.raises(UserError, match=r"cannot write a checkpoint \(step 1 is whole\)"):
            _save_to_the_end(checkpoints, state(2, 1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not caplog.records  # one line, without orbax's traces
    reopened = Checkpoints(tmp_path / "checkpoints")
    assert reopened.latest == 1
    restored, position = reopened.restore(good)
    np.testing.assert_array_equal(restored.params["w"], good.params["w"])
    assert position == {"next_index": 1}


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.9), (0.9, 0.0)])
def test_a_run_may_take_up_averaging_and_clipping_or_leave_off(tmp_path, before, after):
    def state(decay: float, value: float) -> TrainState:
        optimiser = make_optimiser(OptimConfig(clip_norm=decay, ema_decay=decay), steps=10)
        params, count = {"w": jnp.full(3, value)}, jnp.zeros((), jnp.int32)
        return TrainState(
            count, params, {"w": params["w"] + 1} if decay else None, optimiser.init(params), count, count
        )

    written = dataclasses.replace(Config(), optim=OptimConfig(clip_norm=before, ema_decay=before))
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(state(before, 5.0), written, {})
    checkpoints.wait()
    restored, _ = checkpoints.restore(state(after, 0.0))
    np.testing.assert_array_equal(restored.params["w"], np.full(3, 5.0))
    if after:
        np.testing.assert_array_equal(restored.average["w"], np.full(3, 5.0))
    else:
        assert restored.average is None


def _save_to_the_end(checkpoints: Checkpoints, state: TrainState) -> None:
    checkpoints.save(state, Config(), {"next_index": int(state.step)})
    checkpoints.wait()


def test_offsets_beyond_the_limit_are_warned_about():
    values = {"loss": 100.0, "offset_level1": 3.0, "offset_level3": 70.0}
    (line,) = offset_warnings(values, limit=50.0)
    assert "level3 is 70.0 pixels" in line


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"YOGO_COORDINATOR": "localhost:1"}, "YOGO_PROCESSES is not set"),
        ({"YOGO_COORDINATOR": "localhost", "YOGO_PROCESSES": "2", "YOGO_PROCESS": "0"}, "host:port"),
        ({"YOGO_COORDINATOR": "localhost:1", "YOGO_PROCESSES": "2", "YOGO_PROCESS": "2"}, "counts from 0 to 1"),
        ({"YOGO_COORDINATOR": "localhost:1", "YOGO_PROCESSES": "two", "YOGO_PROCESS": "0"}, "takes a number"),
    ],
)
def test_an_incomplete_environment_of_processes_is_refused(monkeypatch, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        initialise()


@pytest.mark.parametrize("name", ["v5e", "h100:2x2", "v5e:16"])
def test_a_topology_that_is_none_is_refused(name):
    with pytest.raises(UserError, match="such as v5e:16x16"):
        topology_devices(name)


@pytest.mark.parametrize(("topology", "chips"), [("v4:2x2x2", 8), ("v5e:4x4", 16), ("v5p:2x2x2", 8), ("v6e:4x4", 16)])
def test_every_chip_is_one_device(topology, chips):
    if importlib.util.find_spec("libtpu"):
        assert len(topology_devices(topology)) == chips
        with pytest.raises(UserError, match=r"--topology v5e:3x5: .*not divisible"):
            topology_devices("v5e:3x5")
    else:
        with pytest.raises(UserError, match="no TPU compiler here"):
            topology_devices(topology)


def test_devices_share_the_work_and_send_the_gradients_once(tiny):
    """More devices than JAX has here are refused; with two, each does the step of one example."""
    config = dataclasses.replace(Config(), model=tiny, data=dataclasses.replace(Config().data, patch=(8, 8)))
    assert len(jax.devices()) == 8  # starts JAX
    found = compile_for(config, "cpu:2", batch_per_chip=1)
    assert (found.chips, found.batch) == (2, 2)
    parameters = found.arguments["parameters"]  # a few numbers for the log go with them
    ((kind, (count, size)),) = found.collectives.items()
    assert kind == "all-reduce"
    assert count <= 2
    assert parameters < size < parameters + 200
    with pytest.raises(UserError, match="8 CPU devices"):
        topology_devices("cpu:9")


def test_inference_is_compiled_for_a_clip_a_device(tiny):
    assert len(jax.devices()) == 8  # starts JAX
    found = compile_inference(dataclasses.replace(Config(), model=tiny), "cpu:2", (8, 12), 1)
    assert (found.chips, found.batch, found.collectives) == (2, 2, {})
    one = compile_inference(dataclasses.replace(Config(), model=tiny), "cpu:1", (8, 12), 1)
    assert found.multiply_adds == 2 * one.multiply_adds > 0
    assert found.temporaries == pytest.approx(one.temporaries, rel=0.1)


def test_collectives_are_counted_by_kind_and_place():
    hlo = """
%body (p: f32[]) -> f32[] {
  %a = f32[4,8]{1,0} all-gather(f32[2,8]{1,0} %p), dimensions={0}
}

ENTRY %main (p: f32[]) -> f32[] {
  %b = (f32[10]{0}, bf16[2,3]{1,0}) all-reduce(f32[10]{0} %x, bf16[2,3]{1,0} %y), to_apply=%add
  %c = (f32[4]{0}, f32[8]{0}) all-gather-start(f32[4]{0} %z), dimensions={0}
  %d = f32[8]{0} all-gather-done((f32[4]{0}, f32[8]{0}) %c)
}
"""
    assert collectives(hlo) == {
        "all-gather": (1, 32),
        "all-gather in loops": (1, 128),
        "all-reduce": (1, 52),
    }


def test_operations_that_move_data_are_counted():
    hlo = """
  %gather.1 = f32[4,8]{1,0} gather(%x, %i), offset_dims={1}
  %copy.1 = bf16[2,3]{1,0:T(8,128)(2,1)} copy(%y)
  %copy-start = (f32[9]{0:S(1)}, f32[9]{0}, u32[]{:S(2)}) copy-start(%z), cross_program_prefetch_index=0
  %conv = (f32[5]{0}, f32[6]{0}) custom-call(%x), custom_call_target="tpu_custom_call"
  %other = f32[5]{0} custom-call(%x), custom_call_target="Sharding"
"""
    expected = {"kernel": (1, 44), "gather": (1, 128), "scatter": (0, 0), "copy": (1, 12), "transpose": (0, 0)}
    assert operations(hlo) == expected


def test_multiply_adds_count_loops_in_full():
    import jax

    def program(x, w):
        return jax.lax.scan(lambda carry, _: (carry @ w, None), x, length=5)[0]

    jaxpr = jax.make_jaxpr(program)(jnp.zeros((3, 4)), jnp.zeros((4, 4)))
    assert multiply_adds(jaxpr.jaxpr) == 5 * 3 * 4 * 4


def test_multiply_adds_of_a_platform_are_what_it_does():
    x, kernel = jnp.zeros((1, 16, 16, 32)), jnp.zeros((3, 3, 32, 32))
    jaxpr = jax.make_jaxpr(conv2d)(x, kernel).jaxpr
    direct = 16 * 16 * 9 * 32 * 32
    assert multiply_adds(jaxpr) == multiply_adds(jaxpr, "tpu") == direct
    transform = 36 * 9 * 32 * 32
    assert multiply_adds(jaxpr, "cpu") == direct // 4 + transform
