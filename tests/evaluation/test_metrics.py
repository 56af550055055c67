"""PSNR and SSIM against scikit-image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from yogo_jax.evaluation.metrics import MAX_PSNR, Quality, frame_scores, psnr, ssim


def pair(shape, noise, seed=0):
    """Smooth images and noisy ones of them, whole levels of 0 to 255, float32."""
    rng = np.random.default_rng(seed)
    waves = np.add.outer(np.sin(np.arange(shape[-3]) / 9), np.cos(np.arange(shape[-2]) / 7))[..., None]
    clean = np.clip(np.round(128 + 60 * waves + rng.normal(0, 4, shape)), 0, 255)
    return np.clip(np.round(clean + rng.normal(0, noise, shape)), 0, 255).astype(np.float32), clean.astype(np.float32)


def skimage_ssim(a, b):
    return structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=-1
    )


@pytest.mark.parametrize("noise", [0.5, 5, 40])
def test_batches_agree_with_scikit_image(noise):
    a, b = pair((2, 3, 90, 123, 3), noise)
    got_psnr, got_ssim = jax.jit(psnr)(a, b), jax.jit(ssim)(a, b)
    assert got_psnr.shape == got_ssim.shape == (2, 3)
    for index in np.ndindex(2, 3):
        expected = peak_signal_noise_ratio(b[index].astype(float), a[index].astype(float), data_range=255)
        np.testing.assert_allclose(got_psnr[index], expected, atol=1e-4)
        np.testing.assert_allclose(
            got_ssim[index], skimage_ssim(a[index].astype(float), b[index].astype(float)), atol=1e-5
        )


def test_large_and_bright_frames_keep_their_digits():
    a, b = pair((576, 720, 1), 1)
    a, b = a / 8 + 223, b / 8 + 223  # low variance far from zero: where float32 moments cancel
    np.testing.assert_allclose(ssim(a, b), skimage_ssim(a.astype(float), b.astype(float)), atol=1e-4)
    expected = peak_signal_noise_ratio(b.astype(float), a.astype(float), data_range=255)
    np.testing.assert_allclose(psnr(a, b), expected, atol=1e-4)


def test_frame_scores_clamp_round_and_weigh_colours():
    a, b = pair((1, 40, 50, 3), 8)
    got = jax.jit(frame_scores)(a / 255 * 1.1234 - 0.0617, b / 255)
    rounded = np.clip(np.round((a[0].astype(float) / 255 * 1.1234 - 0.0617) * 255), 0, 255)
    luma = [(16 + image @ [65.481, 128.553, 24.966] / 255)[..., None] for image in (rounded, b[0].astype(float))]
    np.testing.assert_allclose(
        got["psnr_rgb"][0],
        peak_signal_noise_ratio(b[0], rounded.astype(np.float32), data_range=255),
        atol=1e-4,
    )
    np.testing.assert_allclose(got["psnr_y"][0], peak_signal_noise_ratio(luma[1], luma[0], data_range=255), atol=1e-4)
    np.testing.assert_allclose(got["ssim_rgb"][0], skimage_ssim(rounded, b[0].astype(float)), atol=1e-4)
    np.testing.assert_allclose(got["ssim_y"][0], skimage_ssim(luma[0], luma[1]), atol=1e-4)


def test_equal_images_keep_averages_finite():
    a, _ = pair((2, 16, 16, 3), 1)
    scores = frame_scores(a / 255, a / 255)
    np.testing.assert_array_equal(scores["psnr_y"], MAX_PSNR)
    np.testing.assert_allclose(scores["ssim_y"], 1, atol=1e-6)


def test_images_below_the_window_are_refused():
    with pytest.raises(ValueError, match="11×11"):
        ssim(jnp.zeros((10, 20, 1)), jnp.zeros((10, 20, 1)))


def test_quality_averages_over_batches_without_the_padding():
    a, b = pair((5, 20, 20, 3), 10)
    padded = (
        np.concatenate([a, np.zeros((1, 20, 20, 3), np.float32)]),
        np.concatenate([b, np.ones((1, 20, 20, 3), np.float32)]),
    )
    mask = np.arange(6) < 5

    @jax.jit
    def update(a, b, mask):
        return Quality.single_from_model_output(**frame_scores(a / 255, b / 255), mask=mask)

    first = update(padded[0][:3], padded[1][:3], mask[:3])
    merged = first.merge(update(padded[0][3:], padded[1][3:], mask[3:])).compute()
    expected = frame_scores(a / 255, b / 255)
    assert merged.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(merged[name], np.mean(values), rtol=1e-6)
