"""Convolution and resampling against JAX's own differentiation and against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax.ops import conv
from yogo_jax.ops.conv import conv2d
from yogo_jax.ops.resample import pixel_shuffle, up2


def plain(x, kernel, bias, stride):
    pad = [(kernel.shape[0] // 2,) * 2] * 2
    return (
        jax.lax.conv_general_dilated(x, kernel, (stride,) * 2, pad, dimension_numbers=("NHWC", "HWIO", "NHWC")) + bias
    )


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (1, 1), (5, 1)])
@pytest.mark.parametrize("shape", [(2, 6, 8), (1, 7, 5), (1, 1, 1), (3, 2, 3)])
def test_values_and_gradients(size, stride, shape):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((*shape, 5)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((size, size, 5, 3)), jnp.float32)
    bias = jnp.asarray(rng.standard_normal(3), jnp.float32)
    y, vjp = jax.vjp(lambda *a: conv2d(*a, stride), x, kernel, bias)
    expected, expected_vjp = jax.vjp(lambda *a: plain(*a, stride), x, kernel, bias)
    np.testing.assert_allclose(y, expected, atol=1e-4)
    cotangent = jnp.asarray(rng.standard_normal(y.shape), jnp.float32)
    for ours, theirs in zip(vjp(cotangent), expected_vjp(cotangent), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(("channels", "features"), [(5, 3), (3, 8)])
def test_kernel_gradients_one_example_after_the_other_are_summed_in_float32(channels, features, dtype, monkeypatch):
    monkeypatch.setattr(conv, "COPIES_BYTES", 0)
    rng = np.random.default_rng(0)
    x, g = (jnp.asarray(rng.standard_normal((7, 6, 9, depth)), dtype) for depth in (channels, features))
    kernel = jnp.zeros((3, 3, channels, features), dtype)
    _, ours = jax.vjp(conv2d, x, kernel)[1](g)
    assert ours.dtype == dtype
    _, exact = jax.vjp(lambda *a: plain(*a, 0.0, 1), *(a.astype(jnp.float32) for a in (x, kernel)))
    one_rounding = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(ours.astype(jnp.float32), exact(g.astype(jnp.float32))[1], rtol=one_rounding, atol=1e-4)


def test_gradients_inside_a_scan_are_those_of_an_unrolled_loop():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((1, 6, 6, 4)), jnp.float32)
    kernel = jnp.asarray(0.2 * rng.standard_normal((3, 3, 4, 4)), jnp.float32)

    def unrolled(kernel):
        y = x
        for _ in range(3):
            y = jnp.tanh(plain(y, kernel, 0.0, 1))
        return jnp.square(y).sum()

    def scanned(kernel):
        y, _ = jax.lax.scan(lambda y, _: (jnp.tanh(conv2d(y, kernel)), None), x, length=3)
        return jnp.square(y).sum()

    np.testing.assert_allclose(jax.jit(jax.grad(scanned))(kernel), jax.grad(unrolled)(kernel), atol=1e-4)


def test_up2_and_pixel_shuffle_are_pytorchs():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((2, 5, 7, 12)).astype(np.float32)
    nchw = torch.tensor(x.transpose(0, 3, 1, 2))
    theirs = torch.nn.functional.interpolate(nchw, scale_factor=2, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(up2(jnp.asarray(x)), theirs.numpy().transpose(0, 2, 3, 1), atol=1e-6)
    shuffled = torch.nn.functional.pixel_shuffle(nchw, 2).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(pixel_shuffle(jnp.asarray(x), 2), shuffled)


@pytest.mark.parametrize(("size", "stride"), [(2, 1), (5, 2), (1, 2), (3, 3)])
def test_what_has_no_gradient_here_is_refused(size, stride):
    with pytest.raises(ValueError, match="kernel"):
        conv2d(jnp.zeros((1, 6, 6, 2)), jnp.zeros((size, size, 2, 2)), None, stride)


def test_a_convolution_keeps_its_input_for_the_gradients_and_nothing_made_of_it():
    def images(layers):
        """Temporaries of the gradients of a chain of convolutions, in images."""

        def loss(kernels, x):
            for kernel in kernels:
                x = jnp.tanh(conv2d(x, kernel))
            return x.sum()

        x, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((1, 64, 64, 32), (3, 3, 32, 32)))
        compiled = jax.jit(jax.grad(loss)).lower([kernel] * layers, x).compile()
        return compiled.memory_analysis().temp_size_in_bytes / (4 * x.size)

    assert images(6) - images(2) < 4 * 2
