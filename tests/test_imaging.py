"""The bicubic against Pillow, PyTorch and published figures; luma and rounding against scikit-image."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import structural_similarity

from yogo_jax import imaging

SIZES = [(16, 24), (132, 260), (4, 4), (8, 300)]


def pillow_bicubic(image: np.ndarray, numerator: int, denominator: int) -> np.ndarray:
    """Pillow's bicubic (a = −½, antialiased) of a [H, W, C] float image, borders mirrored by hand."""
    border = 8 * denominator
    height, width, channels = image.shape
    image = np.pad(image, ((border, border), (border, border), (0, 0)), mode="symmetric")
    size = (image.shape[1] * numerator // denominator, image.shape[0] * numerator // denominator)
    planes = [
        np.asarray(Image.fromarray(image[..., c]).resize(size, Image.Resampling.BICUBIC)) for c in range(channels)
    ]
    border = border * numerator // denominator
    rows, columns = height * numerator // denominator, width * numerator // denominator
    return np.stack(planes, axis=-1)[border : border + rows, border : border + columns]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [2, 4])
def test_downscale_is_pillows_with_mirrored_edges(rng, size, scale):
    image = rng.random((*size, 3), dtype=np.float32)
    np.testing.assert_allclose(imaging.downscale(image, scale), pillow_bicubic(image, 1, scale), atol=2e-6)


def test_downscale_by_an_odd_scale(rng):
    image = rng.random((63, 99, 3), dtype=np.float32)
    np.testing.assert_allclose(imaging.downscale(image, 3), pillow_bicubic(image, 1, 3), atol=2e-6)


@pytest.mark.parametrize("size", SIZES)
def test_upscale_is_pillows_with_mirrored_edges(rng, size):
    image = rng.random((*size, 3), dtype=np.float32)
    np.testing.assert_allclose(imaging.upscale(image), pillow_bicubic(image, 4, 1), atol=2e-6)


@pytest.mark.parametrize(("function", "scale", "border"), [("downscale", 0.25, 4), ("upscale", 4, 16)])
def test_interior_is_pytorchs(rng, function, scale, border):
    image = rng.random((2, 96, 64, 3), dtype=np.float32)
    ours = getattr(imaging, function)(image)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(image).permute(0, 3, 1, 2), scale_factor=scale, mode="bicubic", antialias=True
    )
    inside = (slice(None), slice(border, -border), slice(border, -border))
    np.testing.assert_allclose(ours[inside], theirs.permute(0, 2, 3, 1).numpy()[inside], atol=2e-6)


@pytest.mark.parametrize("shape", [(2, 3, 36, 140, 3), (4, 4, 3)])
@pytest.mark.parametrize("function", [imaging.downscale, imaging.upscale, imaging.rgb_to_y])
def test_numpy_and_jax_agree(rng, function, shape):
    image = rng.random(shape, dtype=np.float32)
    under_jit = jax.jit(function)(image)
    assert isinstance(function(image), np.ndarray)
    assert isinstance(under_jit, jax.Array)
    np.testing.assert_allclose(under_jit, function(image), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("source", "target"), [(4, 1), (2, 1), (1, 4), (1, 3)])
def test_what_tpus_do_by_products_others_do_by_sums(rng, source, target):
    image = jnp.asarray(rng.random((2, 36, 140, 3), dtype=np.float32))
    products, sums = (by(image, source, target) for by in (imaging._by_products, imaging._by_sums))
    np.testing.assert_allclose(products, sums, atol=1e-6)
    resize = imaging.downscale if target == 1 else imaging.upscale
    lowered = jax.jit(resize, static_argnums=1).trace(image, max(source, target))
    for platform, used in (("tpu", True), ("cpu", False), ("cuda", False)):
        assert ("dot_general" in lowered.lower(lowering_platforms=(platform,)).as_text()) == used


def test_downscale_is_differentiable(rng):
    """Its gradient is its adjoint: ⟨∂, x⟩ = ⟨g, downscale(x)⟩, since it is linear."""
    image, cotangent = (jnp.asarray(rng.random(s, dtype=np.float32)) for s in [(8, 16, 3), (2, 4, 3)])
    gradient = jax.grad(lambda x: jnp.vdot(imaging.downscale(x), cotangent))(image)
    np.testing.assert_allclose(jnp.vdot(gradient, image), jnp.vdot(cotangent, imaging.downscale(image)), rtol=1e-5)


def test_downscale_refuses_sizes_that_do_not_divide():
    with pytest.raises(ValueError, match="10x8 does not divide by 4"):
        imaging.downscale(np.zeros((8, 10, 3), np.float32))
    assert imaging.crop_to_multiple(np.zeros((2, 9, 10, 3))).shape == (2, 8, 8, 3)


def test_luma_is_scikit_images_unrounded(rng):
    image = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    np.testing.assert_allclose(imaging.rgb_to_y(image), rgb2ycbcr(image)[..., 0], rtol=2e-7)
    assert imaging.rgb_to_y(np.zeros((1, 3), np.uint8)) == 16
    np.testing.assert_allclose(imaging.rgb_to_y(np.ones((1, 3), np.float32)), 235)


def test_quantise_clamps_rounds_and_inverts_to_float():
    values = np.array([-1, 0, 0.4 / 255, 0.6 / 255, 1, 3], np.float32)
    np.testing.assert_array_equal(imaging.quantise(values), [0, 0, 0, 1, 255, 255])
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(imaging.quantise(imaging.to_float(every)), every)
    np.testing.assert_array_equal(imaging.quantise(jnp.asarray(imaging.to_float(every))), every)


def test_integer_images_other_than_uint8_are_refused():
    with pytest.raises(TypeError, match="uint8 or floating-point, not int32"):
        imaging.to_float(np.zeros((4, 4, 3), np.int32))


def test_structure_and_detail_add_up_and_detail_holds_what_bicubic_loses(rng):
    image = rng.random((2, 16, 24, 3), dtype=np.float32)
    structure, detail = imaging.structure_and_detail(image)
    np.testing.assert_allclose(structure + detail, image, atol=1e-6)
    np.testing.assert_allclose(structure[0], pillow_bicubic(pillow_bicubic(image[0], 1, 4), 4, 1), atol=2e-6)
    flat = np.full((8, 8, 3), 0.5, np.float32)
    np.testing.assert_allclose(imaging.structure_and_detail(flat)[1], 0, atol=1e-6)


def _luma_pairs(folder: Path):
    """(truth, bicubic) luma of every frame of one Vid4 clip, by the protocol."""
    for path in sorted(folder.glob("*.png")):
        truth = imaging.crop_to_multiple(np.asarray(Image.open(path).convert("RGB")))
        restored = imaging.quantise(imaging.upscale(imaging.low_resolution(truth)))
        yield imaging.rgb_to_y(truth), imaging.rgb_to_y(restored)


@pytest.mark.parametrize(
    ("clip", "psnr"), [("calendar", 20.394), ("city", 25.165), ("foliage", 23.471), ("walk", 26.104)]
)
def test_vid4_psnr_is_the_published_one(shared, clip, psnr):
    """Without antialiasing, or with other edges or rounding, these move by 0.01 to 1 dB."""
    errors = [np.mean((a - b) ** 2, dtype=np.float64) for a, b in _luma_pairs(shared / "data/vid4" / clip)]
    assert np.mean(10 * np.log10(255**2 / np.array(errors))) == pytest.approx(psnr, abs=1e-3)


def test_vid4_ssim_is_the_published_one(shared):
    pairs = _luma_pairs(shared / "data/vid4/city")
    scores = []
    for truth, restored in pairs:
        _, image = structural_similarity(
            truth, restored, data_range=255, gaussian_weights=True, use_sample_covariance=False, full=True
        )
        scores.append(image[5:-5, 5:-5].mean())
    assert np.mean(scores) == pytest.approx(0.6028, abs=1e-4)
