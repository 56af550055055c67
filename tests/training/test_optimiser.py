"""AdaMax and its schedules against torch.optim."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from yogo_jax.configuration import OptimConfig
from yogo_jax.training.optimiser import current_learning_rate, learning_rate, make_optimiser, moving_average

torch = pytest.importorskip("torch")


def _torch_rates(make_scheduler, rate: float, steps: int) -> list[float]:
    optimiser = torch.optim.Adamax([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = make_scheduler(optimiser)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def test_adamax_and_multistep_schedule_equal_torch():
    config = OptimConfig(learning_rate=1e-2, boundaries=(20, 40))
    target = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    ours = {"w": jnp.zeros((5, 3))}
    theirs = torch.zeros(5, 3, requires_grad=True)
    optimiser = make_optimiser(config, steps=60)
    state = optimiser.init(ours)
    reference = torch.optim.Adamax([theirs], lr=1e-2, betas=(0.9, 0.999))
    scheduler = torch.optim.lr_scheduler.MultiStepLR(reference, [20, 40], gamma=0.1)
    gradient = jax.grad(lambda p: jnp.sum(jnp.sqrt((p["w"] - target) ** 2 + 1e-2)))
    for _ in range(60):
        rate = reference.param_groups[0]["lr"]
        updates, state = optimiser.update(gradient(ours), state, ours)
        ours = optax.apply_updates(ours, updates)
        np.testing.assert_allclose(current_learning_rate(state), rate, rtol=1e-6)
        reference.zero_grad()
        torch.sum(torch.sqrt((theirs - torch.from_numpy(target)) ** 2 + 1e-2)).backward()
        reference.step()
        scheduler.step()
    np.testing.assert_allclose(ours["w"], theirs.detach().numpy(), atol=2e-6)


def test_cosine_with_warmup_equals_torch():
    config = OptimConfig(learning_rate=3e-4, schedule="cosine", warmup_steps=10, final_fraction=0.01)
    schedule = learning_rate(config, steps=100)
    lr_scheduler = torch.optim.lr_scheduler
    expected = _torch_rates(lambda optimiser: lr_scheduler.CosineAnnealingLR(optimiser, 90, eta_min=3e-6), 3e-4, 91)
    np.testing.assert_allclose([schedule(10 + step) for step in range(91)], expected, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose([schedule(step) for step in range(10)], 3e-5 * np.arange(10), rtol=1e-5)


def test_boundaries_count_from_the_start_with_a_warmup():
    schedule = learning_rate(OptimConfig(learning_rate=1.0, warmup_steps=5, boundaries=(20, 30)), steps=50)
    rates = [float(schedule(step)) for step in (4, 5, 19, 20, 29, 30, 49)]
    np.testing.assert_allclose(rates, [0.8, 1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)


def test_clipping_scales_the_gradient_to_the_norm():
    config = OptimConfig(clip_norm=1.0)
    optimiser = make_optimiser(config, steps=1)
    params = {"w": jnp.zeros(2)}
    _, state = optimiser.update({"w": jnp.array([3.0, 4.0])}, optimiser.init(params), params)
    moment = optax.tree_utils.tree_get(state, "mu")["w"]
    np.testing.assert_allclose(moment, 0.1 * np.array([0.6, 0.8]), rtol=1e-6)


def test_moving_average_is_a_weighted_sum_of_the_past():
    values = np.random.default_rng(0).normal(size=50)
    average = jnp.zeros(())
    for step, value in enumerate(values):
        average = moving_average(average, jnp.float32(value), jnp.int32(step), decay=0.9)
    decays = np.minimum(0.9, (1 + np.arange(50)) / (10 + np.arange(50)))
    weights = [(1 - decays[i]) * np.prod(decays[i + 1 :]) for i in range(50)]
    np.testing.assert_allclose(average, np.dot(weights, values), rtol=1e-5)
