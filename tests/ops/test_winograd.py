"""Winograd's convolution against XLA's own: values and gradients, at odd sizes, whole and in strips."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax.ops import winograd
from yogo_jax.ops.conv import conv2d
from yogo_jax.ops.products import widened

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def direct(x, kernel):
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), [(1, 1)] * 2, dimension_numbers=DIMENSIONS)


def case(batch, height, width, channels, features):
    rng = np.random.default_rng(0)
    shapes = (batch, height, width, channels), (3, 3, channels, features), (batch, height, width, features)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


@pytest.fixture(params=["whole", "strips", "strips, a core for each device"])
def strips(request, monkeypatch):
    """Of one row of patches."""
    alone = "core" in request.param
    monkeypatch.setattr(winograd, "spare_cores", lambda: not alone)
    if request.param != "whole":
        whole, strip = ("WHOLE_KERNELS", "STRIP_KERNELS") if alone else ("WHOLE_BYTES", "STRIP_BYTES")
        monkeypatch.setattr(winograd, whole, 0)
        monkeypatch.setattr(winograd, strip, 0 if alone else 1)


@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize("shape", [(2, 5, 7, 3, 4), (1, 1, 1, 2, 3), (1, 8, 4, 5, 2), (2, 3, 2, 1, 1), (1, 9, 9, 2, 2)])
def test_values_and_gradients(shape):
    assert_same_as_direct(*case(*shape))


def assert_same_as_direct(x, kernel, g):
    y, vjp = jax.vjp(direct, x, kernel)
    np.testing.assert_allclose(winograd.winograd(x, kernel), y, atol=2e-5)
    of_x, of_kernel = winograd.winograd_gradients(x, kernel, g)
    expected_of_x, expected_of_kernel = vjp(g)
    np.testing.assert_allclose(of_x, expected_of_x, atol=2e-5)
    np.testing.assert_allclose(of_kernel, expected_of_kernel, atol=1e-4)


@pytest.mark.usefixtures("strips")
def test_56_channels_are_multiplied_as_64():
    x, kernel, g = case(1, 6, 5, 50, 56)
    np.testing.assert_allclose(winograd.winograd(x, kernel), direct(x, kernel), atol=1e-4)
    for ours, theirs in zip(winograd.winograd_gradients(x, kernel, g), jax.vjp(direct, x, kernel)[1](g), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    for function, arguments in ((winograd.winograd, (x, kernel)), (winograd.winograd_gradients, (x, kernel, g))):
        assert "x64xf32" in jax.jit(function).lower(*arguments).as_text()
    assert [widened(jnp.ones((2, size)), 1).shape[1] for size in (48, 49, 63, 64, 65)] == [48, 64, 64, 64, 65]


@pytest.mark.parametrize("rows", [12, 13])
def test_several_rows_of_patches_make_a_strip(rows, monkeypatch):
    monkeypatch.setattr(winograd, "spare_cores", lambda: True)
    monkeypatch.setattr(winograd, "WHOLE_BYTES", 0)
    monkeypatch.setattr(winograd, "STRIP_BYTES", 2 * 36 * 2 * (3 + 4) * 4)  # two rows: not of an odd number
    assert_same_as_direct(*case(2, rows, 6, 3, 4))


def test_conv2d_uses_it_on_cpu_where_it_pays_and_gives_the_same():
    x, kernel, g = case(1, 31, 35, 32, 33)
    assert winograd.pays(x, kernel)
    y, vjp = jax.vjp(conv2d, x, kernel)
    expected, expected_vjp = jax.vjp(direct, x, kernel)
    np.testing.assert_allclose(y, expected, atol=1e-4)
    for ours, theirs in zip(vjp(g), expected_vjp(g), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)  # sums of 1085 products of unit size
    assert "stablehlo.convolution" not in jax.jit(conv2d).lower(x, kernel).as_text()
    for platform in ("tpu", "cuda"):
        lowered = jax.jit(conv2d).trace(x, kernel).lower(lowering_platforms=(platform,)).as_text()
        assert "stablehlo.convolution" in lowered


@pytest.mark.parametrize("shape", [(1, 64, 64, 24, 64), (1, 8, 8, 64, 64)])
def test_few_channels_and_small_images_are_left_alone(shape):
    x, kernel, _ = case(*shape)
    assert not winograd.pays(x, kernel)
    assert not winograd.pays(jnp.zeros((1, 64, 64, 64), jnp.bfloat16), jnp.zeros((3, 3, 64, 64)))


def test_rounding_is_that_of_the_plain_sum():
    x, kernel, g = case(1, 32, 32, 64, 64)
    exact = _exact(x, kernel)
    assert np.abs(winograd.winograd(x, kernel) - exact).max() < 3e-6 * np.abs(exact).max()
    exact = _exact(g, np.swapaxes(kernel[::-1, ::-1], 2, 3))  # with the kernel turned, the gradient of x
    assert np.abs(winograd.winograd_gradients(x, kernel, g)[0] - exact).max() < 3e-6 * np.abs(exact).max()


def _exact(x, kernel):
    """In float64, by NumPy."""
    x = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel = np.asarray(kernel, np.float64)
    height, width = x.shape[1] - 2, x.shape[2] - 2
    return sum(x[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3))
