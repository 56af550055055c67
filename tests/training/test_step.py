"""The training step: one result on every mesh, and no trace of a batch that is not finite."""

import dataclasses

import jax
import numpy as np
import optax
import pytest

from yogo_jax.configuration import OptimConfig
from yogo_jax.training.optimiser import make_optimiser
from yogo_jax.training.sharding import make_mesh, put_batch
from yogo_jax.training.state import abstract_state, new_state
from yogo_jax.training.step import compile_train_step

OPTIM = OptimConfig(learning_rate=1e-3, ema_decay=0.9, clip_norm=1.0, boundaries=())


class Run:
    """A compiled step with its state on some mesh."""

    def __init__(self, model, devices: int, fsdp: int = 1, optim: OptimConfig = OPTIM):
        self.mesh = make_mesh(fsdp, jax.devices()[:devices])
        network, optimiser = model.build(), make_optimiser(optim, 100)
        self._abstract = abstract_state(network, optimiser, True, self.mesh, min_size=64)
        self._first = jax.device_get(new_state(network, optimiser, 0, True, self._abstract))
        self._step = compile_train_step(network, optimiser, optim, self.mesh, self._abstract)
        self.restart()

    def restart(self, change=lambda path, leaf: leaf):
        """Back to the first state, with its parameters changed."""
        params = jax.tree_util.tree_map_with_path(change, self._first.params)
        state = dataclasses.replace(self._first, params=params)
        self.state = jax.tree.map(lambda leaf, like: jax.device_put(leaf, like.sharding), state, self._abstract)

    def __call__(self, batch):
        self.state, metrics = self._step(self.state, put_batch(batch, self.mesh))
        return {name: float(value) for name, value in metrics.items()}

    def params(self):
        return jax.device_get(self.state.params)


@pytest.fixture(scope="module")
def single(tiny) -> Run:
    """On one device."""
    return Run(tiny, devices=1)


@pytest.fixture(scope="module")
def reference(single, batches):
    """Four steps on one device: metrics, parameters, average."""
    single.restart()
    metrics = [single(batch) for batch in batches]
    return metrics, single.params(), jax.device_get(single.state.average)


@pytest.mark.parametrize(
    ("devices", "fsdp", "accumulate"), [(8, 1, 1), (8, 2, 1), (2, 2, 2)], ids=["data", "data×fsdp", "accumulated"]
)
def test_every_mesh_gives_the_same_training(tiny, batches, reference, devices, fsdp, accumulate):
    optim = OptimConfig(**{**vars(OPTIM), "accumulate": accumulate})
    run = Run(tiny, devices, fsdp, optim)
    metrics = [run(batch) for batch in batches]
    expected_metrics, expected_params, expected_average = reference
    for ours, theirs in zip(metrics, expected_metrics, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), run.params(), expected_params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), jax.device_get(run.state.average), expected_average
    )
    if fsdp > 1:  # a device keeps one half of a large parameter, and of all that has its shape
        kernel = run.state.params["recon_image"]["upconv1"]["kernel"]
        moment = optax.tree_utils.tree_get(run.state.opt_state, "mu")["recon_image"]["upconv1"]["kernel"]
        assert kernel.addressable_data(0).size == moment.addressable_data(0).size == kernel.size // 2


def test_a_batch_that_is_not_finite_changes_nothing_but_the_counts(single, batches):
    single.restart()
    single(batches[0])
    before = jax.device_get(single.state)
    for value in (np.nan, np.inf):
        broken = {name: array.copy() for name, array in batches[1].items()}
        broken["hr"][0, 0, 0, 0, 0] = value
        metrics = single(broken)
    after = jax.device_get(single.state)
    for field in ("params", "average", "opt_state"):
        jax.tree.map(np.testing.assert_array_equal, getattr(before, field), getattr(after, field))
    assert (before.step, after.step) == (1, 3)
    assert metrics["skipped"] == metrics["skipped_in_a_row"] == 2
    metrics = single(batches[1])
    assert (metrics["skipped"], metrics["skipped_in_a_row"]) == (2, 0)
    assert np.isfinite(metrics["loss"])


def test_offsets_are_measured_in_pixels(single, batches):
    def move(path, leaf):
        name = jax.tree_util.keystr(path)
        return leaf + 3 if "offset_mask" in name and "bias" in name else leaf

    single.restart()
    assert single(batches[0])["offset_level1"] == 0  # zero at the start
    single.restart(move)
    assert single(batches[0])["offset_level1"] == pytest.approx(3, rel=1e-5)
