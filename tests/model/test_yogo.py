"""The whole network: the paper's costs, every variant, any size, and equality with its own definition."""

import dataclasses
import functools
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax import imaging
from yogo_jax.configuration import load_config
from yogo_jax.errors import UserError
from yogo_jax.info import cost
from yogo_jax.model import YOGO, YOGOConfig, recurrent
from yogo_jax.model.registration import Motion
from yogo_jax.model.yogo import between
from yogo_jax.training.loss import distances

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
TINY = YOGOConfig(filters=8, groups=2, fe_blocks=1, frb_backward=1, frb_forward=1, hfbs=1, pyramid_levels=2)
VARIANTS = sorted(path.stem for path in CONFIGS.glob("*_*.py") if path.stem.startswith(("table", "figure", "yogo")))


def frames(*shape: int) -> jax.Array:
    return jax.random.uniform(jax.random.key(0), (*shape, 3))


def parameters(model: YOGO, x: jax.Array) -> dict:
    """Random parameters, none of them zero, without compiling the network's own initialisation."""
    rng = np.random.default_rng(1)

    def draw(path, leaf):
        values = rng.standard_normal(leaf.shape)
        if path[-1].key == "bias":
            return jnp.asarray(np.abs(values), leaf.dtype)  # that keeps ReLUs alive
        return jnp.asarray(values / np.sqrt(np.prod(leaf.shape[-4:-1])), leaf.dtype)

    return jax.tree.map_with_path(draw, jax.eval_shape(model.init, jax.random.key(0), x))


def run(model: YOGO, variables: dict, x: jax.Array, **kwargs):
    return jax.jit(partial(model.apply, **kwargs))(variables, x)


def tiny(config: YOGOConfig) -> YOGOConfig:
    """The variant that a config describes, on few channels and one level, with at most one block of each kind."""
    few = {name: min(getattr(config, name), 1) for name in ("fe_blocks", "frb_backward", "frb_forward", "hfbs")}
    return dataclasses.replace(config, filters=4, groups=1, pyramid_levels=1, **few)


@functools.cache
def layers_without_gradient(config: YOGOConfig) -> list[str]:
    """Runs a network forward and backward; parameters that its loss does not reach."""
    model, x = config.build(), frames(1, 2, 4, 4)
    measure = distances(frames(1, 3, 16, 16), 0.01)

    def loss(params):
        return sum(jax.tree.leaves(model.apply({"params": params}, x, measure=measure)))

    value, gradients = jax.jit(jax.value_and_grad(loss))(parameters(model, x)["params"])
    assert jnp.isfinite(value)
    return [
        jax.tree_util.keystr(path)
        for path, gradient in jax.tree_util.tree_leaves_with_path(gradients)
        if not jnp.any(gradient != 0)
    ]


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [("yogo_64", 12.114e6, 1.470e12), ("yogo_56", 9.523e6, 1.146e12)],
)
def test_costs_are_those_of_table_2(name, parameters, multiply_adds):
    result = cost(load_config(CONFIGS / f"{name}.py").model.build())
    assert result.parameters == pytest.approx(parameters, rel=5e-3)
    assert result.multiply_adds == pytest.approx(multiply_adds, rel=5e-3)
    assert sum(result.parameters_by_module.values()) == result.parameters


def test_the_deformable_kernels_are_counted_apart():
    # 3 aligners × 2 directions × levels of 1, 1/4 and 1/16 of the pixels × 7 frames, 9·C·C and a bias each.
    expected = 3 * 2 * (1 + 1 / 4 + 1 / 16) * 7 * 144 * 180 * (9 * 64 * 64 + 64)
    assert cost(YOGO(YOGOConfig())).deformable_multiply_adds == expected


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_runs_forward_and_backward(name):
    assert not layers_without_gradient(tiny(load_config(CONFIGS / f"{name}.py").model))


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 4, 1, 12)])
def test_any_number_of_frames_and_any_size(shape):
    batch, count, height, width = shape
    model, x = YOGO(TINY), frames(*shape)
    out = run(model, parameters(model, x), x, auxiliary=True)
    assert out.unrefined is None  # there is nothing that refines
    for image in (out.image, out.structure, out.detail):
        assert image.shape == (batch, 2 * count - 1, 4 * height, 4 * width, 3)
        assert jnp.isfinite(image).all()


def test_padding_is_edge_padding_cropped_again():
    model, x = YOGO(TINY), frames(1, 2, 7, 9)
    variables = parameters(model, x)
    padded = jnp.pad(x, [(0, 0), (0, 0), (0, 1), (0, 1), (0, 0)], mode="edge")
    whole = run(model, variables, padded).image[:, :, :28, :36]
    np.testing.assert_allclose(run(model, variables, x).image, whole, atol=1e-6)


def test_examples_of_a_batch_do_not_mix():
    model, x = YOGO(TINY), frames(2, 3, 8, 8)
    variables = parameters(model, x)
    both = run(model, variables, x).image
    np.testing.assert_allclose(both[1:], run(model, variables, x[1:]).image, atol=1e-5)


def test_information_flows_from_both_ends_of_the_clip():
    model, x = YOGO(TINY), frames(1, 3, 8, 8)
    variables = parameters(model, x)

    def middle(x):
        return jnp.square(model.apply(variables, x).image[:, 2]).sum()

    reach = jnp.abs(jax.jit(jax.grad(middle))(x)).sum((0, 2, 3, 4))
    assert (reach > 0).all()


def test_bfloat16_keeps_float32_parameters_and_stays_close():
    x = frames(1, 2, 8, 8)
    model, half = YOGO(TINY), YOGO(dataclasses.replace(TINY, dtype="bfloat16"))
    variables = parameters(half, x)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
    out = run(half, variables, x).image
    assert out.dtype == jnp.float32
    exact = run(model, variables, x).image
    assert jnp.abs(out - exact).mean() < 0.02 * jnp.abs(exact).mean() + 1e-3
    assert not jnp.array_equal(out, exact)


def test_remat_changes_memory_only():
    x = frames(1, 2, 8, 8)
    plain, remat = YOGO(TINY), YOGO(dataclasses.replace(TINY, remat=True))
    variables = parameters(plain, x)
    assert jax.tree.structure(variables) == jax.tree.structure(parameters(remat, x))

    def loss(variables, model):
        images = jax.tree.leaves(model.apply(variables, x, auxiliary=True))
        return sum(jnp.square(image).mean() for image in images)

    kept = [
        str(jax.make_jaxpr(partial(loss, model=model))(variables)).count("prevent_cse=") for model in (plain, remat)
    ]
    assert kept[0] < kept[1]
    g1, g2 = (jax.jit(jax.grad(loss), static_argnums=1)(variables, model) for model in (plain, remat))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), g1, g2)


def test_steps_looked_at_one_by_one_give_the_same(monkeypatch):
    x = frames(1, 2, 8, 8)
    model = YOGO(TINY)
    variables = parameters(model, x)
    at_once = run(model, variables, x, auxiliary=True, mutable=["offsets"])
    monkeypatch.setattr(recurrent, "MOST_AT_ONCE", 0)
    one_by_one = run(model, variables, x, auxiliary=True, mutable=["offsets"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a.mean(), b.mean(), atol=1e-5), at_once, one_by_one)
    np.testing.assert_allclose(at_once[0].image, one_by_one[0].image, atol=1e-5)


def test_an_untrained_network_with_a_skip_is_the_classical_baseline():
    x = frames(1, 3, 8, 8)
    model = YOGO(dataclasses.replace(TINY, image_skip="interpolate", recon="light"))
    output = run(model, jax.jit(model.init)(jax.random.key(1), x), x, auxiliary=True)
    image = output.image
    np.testing.assert_array_equal(output.structure, image)
    np.testing.assert_allclose(image[:, ::2], imaging.upscale(x), atol=1e-6)
    np.testing.assert_allclose(image[:, 1], imaging.upscale((x[:, 0] + x[:, 1]) / 2), atol=1e-5)


def test_a_skip_with_motion_takes_made_frames_from_where_it_leads():
    still = frames(1, 1, 8, 12)
    x = jnp.concatenate([still, jnp.roll(still, 2, axis=3)], axis=1)  # two pixels to the right
    flow = jnp.zeros((1, 3, 8, 12, 2)).at[..., 1].set(1.0)
    made = between(imaging.upscale(x), Motion(flow, -flow, jnp.full((1, 1, 8, 12, 1), 0.3)))[0, 1]
    expected = imaging.upscale(jnp.roll(still, 1, axis=3))[0, 0]
    np.testing.assert_allclose(made[:, 16:-16], expected[:, 16:-16], atol=1e-5)


def test_init_makes_parameters_and_nothing_else():
    assert set(parameters(YOGO(TINY), frames(1, 2, 8, 8))) == {"params"}


def test_intermediates_of_figure_8():
    x = frames(1, 2, 8, 8)
    model = YOGO(TINY)
    _, state = run(model, parameters(model, x), x, mutable=["intermediates"])
    cell = state["intermediates"]["forward"]["rc_fi"]["cell"]
    assert cell["aligned"][0].shape == cell["fused"][0].shape == (1, 3, 8, 8, 8)


@pytest.mark.parametrize(
    "fields",
    [
        {"filters": 60},
        {"se_reduction": 3},
        {"pyramid_levels": 0},
        {"hfbs": -1},
        {"interaction": "backward_only"},
        {"fusion": "x"},
        {"filters": 2**40},
    ],
)
def test_impossible_networks_are_refused(fields):
    with pytest.raises(UserError, match=r"model\."):
        YOGOConfig(**fields)


def test_frames_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="N of 2 or more"):
        YOGO(TINY).init(jax.random.key(0), frames(1, 1, 8, 8))
