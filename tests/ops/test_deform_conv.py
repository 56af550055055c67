"""Deformable convolution against its definition, written as a loop over pixels, and against PyTorch.

What TPUs run is interpreted here.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax.ops import deform_conv
from yogo_jax.ops.deform_conv import deform_conv2d


def case(batch=2, height=5, width=6, channels=6, groups=3, features=4, size=3, reach=2.0, seed=0):
    rng = np.random.default_rng(seed)
    shape = (batch, height, width, groups, size * size)
    return (
        rng.standard_normal((batch, height, width, channels)).astype(np.float32),
        (reach * rng.standard_normal((*shape, 2))).astype(np.float32),
        rng.random(shape).astype(np.float32),
        (0.3 * rng.standard_normal((size, size, channels, features))).astype(np.float32),
        rng.standard_normal(features).astype(np.float32),
    )


@pytest.fixture(params=["gather", "tpu"])
def formulation(request, monkeypatch):
    if request.param == "tpu":
        interpreted = lambda _, on_tpu, gather, *arguments: on_tpu(*arguments, interpret=True)  # noqa: E731
        monkeypatch.setattr(deform_conv, "_by_platform", interpreted)
    jax.clear_caches()
    yield
    jax.clear_caches()


def by_definition(x, offset, mask, kernel, bias):
    """The sum of the module's docstring, one term at a time, in float64."""
    batch, height, width, channels = x.shape
    groups, size = offset.shape[3], kernel.shape[0]
    per_group = channels // groups
    y = np.tile(np.float64(bias), (batch, height, width, 1))
    for b, i, j, g, k in np.ndindex(batch, height, width, groups, size * size):
        py = i + k // size - size // 2 + offset[b, i, j, g, k, 0]
        px = j + k % size - size // 2 + offset[b, i, j, g, k, 1]
        for cy, cx in np.ndindex(2, 2):
            qy, qx = int(np.floor(py)) + cy, int(np.floor(px)) + cx
            if 0 <= qy < height and 0 <= qx < width:
                weight = max(0.0, 1 - abs(py - qy)) * max(0.0, 1 - abs(px - qx)) * mask[b, i, j, g, k]
                part = slice(g * per_group, (g + 1) * per_group)
                y[b, i, j] += weight * x[b, qy, qx, part] @ kernel[k // size, k % size, part]
    return y


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"groups": 1, "channels": 5, "features": 7},
        {"groups": 2, "channels": 16, "height": 1, "width": 1},
        {"size": 1, "groups": 2},
        {"size": 5, "batch": 1},
        {"reach": 50.0},
        {"reach": 0.0},
        {"features": 56},
    ],
)
def test_values_are_the_definition(kwargs):
    arguments = case(**kwargs)
    np.testing.assert_allclose(deform_conv2d(*arguments), by_definition(*arguments), atol=1e-4)


def test_without_offsets_and_masks_it_is_a_convolution():
    x, offset, mask, kernel, bias = case()
    expected = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(deform_conv2d(x, 0 * offset, mask * 0 + 1, kernel, bias), expected + bias, atol=1e-5)


def torch_gradients(x, offset, mask, kernel, bias, cotangent):
    torch = pytest.importorskip("torch")
    from yogo_jax.torch_reference.deform_conv import deform_conv2d as torch_deform_conv2d

    batch, height, width, groups, taps, _ = offset.shape
    inputs = [
        torch.tensor(x.transpose(0, 3, 1, 2)),
        torch.tensor(offset.transpose(0, 3, 4, 5, 1, 2).reshape(batch, groups * taps * 2, height, width)),
        torch.tensor(mask.transpose(0, 3, 4, 1, 2).reshape(batch, groups * taps, height, width)),
        torch.tensor(kernel.transpose(3, 2, 0, 1).copy()),
    ]
    for tensor in inputs:
        tensor.requires_grad_()
    y = torch_deform_conv2d(*inputs, torch.tensor(bias))
    y.backward(torch.tensor(cotangent.transpose(0, 3, 1, 2)))
    dx, doffset, dmask, dkernel = (tensor.grad.numpy() for tensor in inputs)
    return y.detach().numpy().transpose(0, 2, 3, 1), (
        dx.transpose(0, 2, 3, 1),
        doffset.reshape(batch, groups, taps, 2, height, width).transpose(0, 4, 5, 1, 2, 3),
        dmask.reshape(batch, groups, taps, height, width).transpose(0, 3, 4, 1, 2),
        dkernel.transpose(2, 3, 1, 0),
    )


@pytest.mark.usefixtures("formulation")
@pytest.mark.parametrize(("reach", "strip_bytes"), [(0.7, 1 << 22), (3.0, 1), (40.0, 1 << 22)])
def test_all_four_gradients_are_pytorchs(reach, strip_bytes, monkeypatch):
    monkeypatch.setattr(deform_conv, "STRIP_BYTES_CPU", strip_bytes)  # one pixel a strip, and one strip
    gradients_are_pytorchs(*case(reach=reach, seed=3))


@pytest.mark.usefixtures("formulation")
def test_on_the_grid_and_on_the_border_gradients_are_torchvisions():
    """Every sample lies exactly on a pixel, on the image's first or last ones, or on their neighbours outside."""
    pytest.importorskip("torch")
    from yogo_jax.torch_reference import deform_conv as reference

    if reference._torchvision_deform_conv2d is None:
        pytest.skip("no torchvision for this PyTorch")
    x, offset, *others = case(batch=1)
    rng = np.random.default_rng(5)
    for axis, size in enumerate(x.shape[1:3]):
        pixel = np.arange(size).reshape((-1, 1, 1, 1) if axis == 0 else (-1, 1, 1))
        tap = np.arange(9) // 3 - 1 if axis == 0 else np.arange(9) % 3 - 1
        offset[..., axis] = rng.choice([-1, 0, 2, size - 1, size], offset.shape[:-1]) - pixel - tap
    gradients_are_pytorchs(x, offset, *others)


def gradients_are_pytorchs(*case):
    *arguments, bias = case
    x, kernel = arguments[0], arguments[3]
    cotangent = np.random.default_rng(4).standard_normal((*x.shape[:3], kernel.shape[-1])).astype(np.float32)
    expected, gradients = torch_gradients(*arguments, bias, cotangent)
    y, vjp = jax.vjp(lambda *a: deform_conv2d(*a, bias), *arguments)
    np.testing.assert_allclose(y, expected, atol=1e-4)
    for ours, theirs in zip(vjp(jnp.asarray(cotangent)), gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_integer_offsets_and_samples_on_the_border_have_the_slopes_of_the_cell_below():
    """On a grid line the derivative is the right-hand one, as torchvision's: finite differences of a small step."""
    x, offset, mask, kernel, bias = case(reach=0.0, groups=2)
    offset = np.random.default_rng(1).integers(-6, 7, offset.shape).astype(np.float32)
    g = jax.grad(lambda o: deform_conv2d(x, o, mask, kernel, bias).sum())(offset)
    rng = np.random.default_rng(2)
    step = 2.0**-10
    for index in zip(*(rng.integers(0, n, 40) for n in offset.shape), strict=True):
        moved = offset.copy()
        moved[index] += step
        difference = by_definition(x, moved, mask, kernel, bias) - by_definition(x, offset, mask, kernel, bias)
        assert g[index] == pytest.approx(difference.sum() / step, abs=2e-3)


@pytest.mark.usefixtures("formulation")
def test_offsets_of_nan_and_infinity_sample_zero():
    x, offset, mask, kernel, bias = case()
    for value in (np.nan, np.inf, -np.inf):
        y = deform_conv2d(x, np.full_like(offset, value), mask, kernel, bias)
        np.testing.assert_array_equal(y, np.broadcast_to(bias, y.shape))


@pytest.mark.usefixtures("formulation")
def test_coordinates_stay_float32_under_bfloat16():
    """A quarter of a pixel past column 256 is lost on bfloat16 coordinates; between 0 and 1 it shows in full."""
    x = np.broadcast_to(np.arange(300)[None, None, :, None] % 2, (1, 1, 300, 8)).astype(np.float32)
    offset = np.zeros((1, 1, 300, 1, 1, 2), np.float32)
    offset[..., 1] = 0.25
    ones = np.ones((1, 1, 300, 1, 1), np.float32)
    kernel = jnp.eye(8, dtype=jnp.bfloat16)[None, None]
    y = deform_conv2d(jnp.asarray(x, jnp.bfloat16), offset, ones, kernel)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y[0, 0, 256:299, 0].astype(np.float32), np.where(np.arange(256, 299) % 2, 0.75, 0.25))


@pytest.mark.parametrize(("dtype", "atol"), [(jnp.float32, 1e-5), (jnp.bfloat16, 0.1)])
def test_windows_on_a_tpu_reach_as_far_as_offsets_do(dtype, atol):
    """An image of several blocks in both directions, two tiles wide, with offsets all over it and out of it."""
    x, offset, mask, kernel, _ = case(1, 18, 130, channels=2, groups=1, size=1, reach=40.0)
    arguments = jnp.asarray(x, dtype), offset, mask, jnp.asarray(kernel, dtype)
    g = jnp.asarray(np.random.default_rng(1).standard_normal((1, 18, 130, 4)), dtype)
    exact = [np.asarray(a, np.float32) for a in arguments], np.asarray(g, np.float32)
    expected = deform_conv._forward(*exact[0], strip_bytes=1 << 22)
    np.testing.assert_allclose(deform_conv._tpu_forward(*arguments, interpret=True), expected, atol=atol)
    ours = deform_conv._tpu_backward(*arguments, g, interpret=True)
    for a, b, like in zip(
        ours, deform_conv._backward(*exact[0], exact[1], strip_bytes=1 << 22), arguments, strict=True
    ):
        assert a.dtype == like.dtype
        np.testing.assert_allclose(a.astype(jnp.float32), b, atol=atol, rtol=1e-2 if dtype == jnp.bfloat16 else 1e-5)


def test_tpus_run_their_own_and_others_gather():
    def gradients(*arguments):
        return jax.vjp(deform_conv2d, *arguments)[1](arguments[0][..., :4])

    arguments = case()
    for platform, kernels in (("cpu", 0), ("cuda", 0), ("tpu", 2)):
        lowered = jax.jit(lambda *a: (deform_conv2d(*a), gradients(*a))).trace(*arguments)
        text = lowered.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("tpu_custom_call") == kernels
        assert ("stablehlo.gather" in text) == (kernels == 0)
    with deform_conv.gather_everywhere():
        shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arguments]
        program = jax.export.export(jax.jit(deform_conv2d), platforms=("cpu", "tpu"))(*shapes)
    np.testing.assert_array_equal(program.call(*arguments), deform_conv2d(*arguments))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 2}, "a 2×2 kernel"),
        ({"channels": 7}, "7 channels in 3 groups"),
        ({"mask": 4}, "4 masks a group"),
        ({"offset": 4}, r"offsets of \(3, 4, 2\)"),
    ],
)
def test_shapes_that_do_not_go_together(wrong, message):
    taken = {name: wrong.get(name) for name in ("offset", "mask")}
    x, offset, mask, *kernel = case(**{name: value for name, value in wrong.items() if name not in taken})
    with pytest.raises(ValueError, match=message):
        deform_conv2d(x, offset[:, :, :, :, : taken["offset"]], mask[..., : taken["mask"]], *kernel)


@pytest.mark.parametrize("pulled_back", [False, True])
def test_memory_does_not_grow_with_sampled_columns(pulled_back):
    """At 1080p the columns alone would take 5 GB; temporaries stay near the size of arguments and result."""

    def gradients(*arguments):
        return jax.vjp(deform_conv2d, *arguments)[1](arguments[0])

    shapes = [(1, 1080, 1920, 64), (1, 1080, 1920, 8, 9, 2), (1, 1080, 1920, 8, 9), (3, 3, 64, 64)]
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    memory = jax.jit(gradients if pulled_back else deform_conv2d).lower(*arguments).compile().memory_analysis()
    assert memory.temp_size_in_bytes < memory.argument_size_in_bytes + memory.output_size_in_bytes
