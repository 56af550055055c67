"""Deformable convolution against its formula, written out tap by tap."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from yogo_jax.torch_reference import deform_conv  # noqa: E402


def by_the_formula(x, offset, mask, weight, bias):
    """One image [C, H, W] in float64: sums over groups, taps and four corners, each zero outside."""
    channels, height, width = x.shape
    groups = mask.shape[0] // 9
    per = channels // groups
    out = np.zeros((weight.shape[0], height, width)) + bias[:, None, None]
    for g in range(groups):
        for k in range(9):
            for i in range(height):
                for j in range(width):
                    dy, dx = offset[(g * 9 + k) * 2 : (g * 9 + k) * 2 + 2, i, j]
                    y, z = i + k // 3 - 1 + dy, j + k % 3 - 1 + dx
                    sample = np.zeros(per)
                    for r in (int(np.floor(y)), int(np.floor(y)) + 1):
                        for c in (int(np.floor(z)), int(np.floor(z)) + 1):
                            if 0 <= r < height and 0 <= c < width:
                                corner = (1 - abs(y - r)) * (1 - abs(z - c))
                                sample += corner * x[g * per : (g + 1) * per, r, c]
                    taps = weight[:, g * per : (g + 1) * per, k // 3, k % 3]
                    out[:, i, j] += mask[g * 9 + k, i, j] * (taps @ sample)
    return out


@pytest.mark.parametrize("backend", ["grid_sample", "torchvision"])
def test_formula(backend):
    if backend == "torchvision" and deform_conv._torchvision_deform_conv2d is None:
        pytest.skip("torchvision does not import here")
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(4, 5, 6)), rng.normal(size=(3, 4, 3, 3)), rng.normal(size=3)
    offset = rng.normal(scale=3, size=(2 * 18, 5, 6))  # large ones leave the image
    offset[:, 0, 0] = 1  # on the grid
    mask = rng.uniform(size=(2 * 9, 5, 6))
    tensors = (torch.tensor(a, dtype=torch.float32) for a in (x[None], offset[None], mask[None], weight, bias))
    found = deform_conv.deform_conv2d(*tensors, backend=backend)[0].numpy()
    np.testing.assert_allclose(found, by_the_formula(x, offset, mask, weight, bias), atol=2e-5)


def test_half_precision_loses_no_fraction_of_a_position():
    """In bfloat16, a wide ramp that is moved by a quarter of a pixel is off by no more than its own rounding."""
    x = torch.linspace(0, 1, 180).expand(1, 1, 4, 180)
    offset = torch.tensor([0.0, 0.25]).view(1, 2, 1, 1).expand(1, 2, 4, 180)
    arguments = (x, offset, torch.ones(1, 1, 4, 180), torch.ones(1, 1, 1, 1), torch.zeros(1))
    exact = deform_conv.deform_conv2d(*arguments, backend="grid_sample")
    half = deform_conv.deform_conv2d(*(a.bfloat16() for a in arguments), backend="grid_sample")
    assert (half.float() - exact)[..., :-1].abs().max() < 2**-7


def test_torchvision_by_name_where_it_is_not(monkeypatch):
    monkeypatch.setattr(deform_conv, "_torchvision_deform_conv2d", None)
    zeros = torch.zeros
    with pytest.raises(ImportError, match="grid_sample"):
        deform_conv.deform_conv2d(
            zeros(1, 1, 4, 4),
            zeros(1, 18, 4, 4),
            zeros(1, 9, 4, 4),
            zeros(1, 1, 3, 3),
            zeros(1),
            "torchvision",
        )


def test_starts_without_offsets_and_with_half_masks():
    layer = deform_conv.ModulatedDeformConv(4, 2, backend="grid_sample")
    x = torch.rand(1, 4, 6, 7)
    expected = torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1) / 2
    torch.testing.assert_close(layer(x, torch.rand(1, 4, 6, 7)), expected)
