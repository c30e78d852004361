"""Metrics after alignment: what they forgive, what they do not, and independent transcriptions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblurbench.metrics import METRICS
from deblurbench.metrics.alignment import ecc_aligned, koehler_aligned, scale_to

ALL = ["psnr-koehler", "ssim-koehler", "psnr-ecc", "ssim-ecc"]


def scene(height: int = 96, width: int = 120, seed: int = 3) -> np.ndarray:
    """Smooth random texture (H, W, 3), float, about 40 to 200."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3))
    smooth = ndimage.gaussian_filter(noise, (2.5, 2.5, 0))
    return 120 + 35 * smooth / smooth.std()


def to8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def moved(values: np.ndarray, down: float, right: float) -> np.ndarray:
    return ndimage.shift(values, (down, right, 0), order=5, mode="reflect")


@pytest.mark.parametrize("id", ALL)
def test_identical_frames_give_the_best_value(id):
    frame = to8(scene())
    best, value = METRICS[id].best, METRICS[id].load()(frame, frame)
    assert value == best if id.endswith("koehler") else value > 60 or value == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (1.4, 0.7), (-2.3, 5.6)])
def test_shift_and_brightness_are_forgiven(shift):
    sharp = scene()
    restored = 0.85 * moved(sharp, *shift)
    aligned, target = koehler_aligned(to8(restored), to8(sharp))
    assert aligned.shape == target.shape
    plain = METRICS["psnr"].load()(to8(restored), to8(sharp))
    assert plain < 25
    for id in ("psnr-koehler", "psnr-ecc"):
        assert METRICS[id].load()(to8(restored), to8(sharp)) > plain + 12
    assert METRICS["ssim-koehler"].load()(to8(restored), to8(sharp)) > 0.97
    assert METRICS["ssim-ecc"].load()(to8(restored), to8(sharp)) > 0.97


def test_blur_is_not_forgiven():
    sharp = scene()
    blurred = ndimage.gaussian_filter(sharp, (2, 2, 0))
    plain = METRICS["psnr"].load()(to8(blurred), to8(sharp))
    assert METRICS["psnr-koehler"].load()(to8(blurred), to8(sharp)) == pytest.approx(plain, abs=0.5)


def test_scaling_is_the_least_squares_factor():
    sharp, restored = to8(scene(seed=1)), to8(scene(seed=2) * 0.6)
    factor = np.linalg.lstsq(restored.reshape(-1, 1).astype(float), sharp.reshape(-1).astype(float), rcond=None)[0][0]
    assert scale_to(restored, sharp) == pytest.approx(factor * restored.astype(float), rel=1e-6)


def test_whole_pixel_shifts_equal_a_search_over_crops():
    """Without interpolation, alignment is choosing a crop: skimage's metrics on that crop, after the scaling."""
    sharp = scene()
    restored, target = to8(np.roll(sharp, (4, -3), (0, 1)) + 2), to8(sharp)
    scaled = scale_to(restored, target)[4 + 2 : -2, 2 : -3 - 2]
    there = target[2 : -4 - 2, 3 + 2 : -2].astype(np.float32)
    psnr = peak_signal_noise_ratio(there, scaled, data_range=255)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    ssim = structural_similarity(there.astype(float), scaled.astype(float), channel_axis=2, **options)
    assert METRICS["psnr-koehler"].load()(restored, target) == pytest.approx(psnr, abs=1e-4)
    assert METRICS["ssim-koehler"].load()(restored, target) == pytest.approx(ssim, abs=1e-6)


def test_ecc_equals_a_transcription_of_realblurs_evaluation():
    """Frames in [0, 1], mask three channels deep, error and SSIM map averaged over it; SSIM cropped by 5 first."""
    sharp = to8(scene())
    restored = to8(0.9 * moved(scene(), 1.3, -0.6) + 2)
    x, z = sharp.astype(np.float32) / 255, restored.astype(np.float32) / 255
    z = (np.sum(x * z, dtype=np.float64) / np.sum(z * z, dtype=np.float64)).astype(np.float32) * z
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
    greys = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (x, z)]
    warp = cv2.findTransformECC(*greys, np.eye(3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY, criteria, None, 5)[1]
    size = (sharp.shape[1], sharp.shape[0])
    flags = cv2.INTER_CUBIC + cv2.WARP_INVERSE_MAP
    aligned = cv2.warpPerspective(z, warp, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    flags = cv2.INTER_NEAREST + cv2.WARP_INVERSE_MAP
    mask = cv2.warpPerspective(np.ones_like(z), warp, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    assert 0 < mask.mean() < 1
    aligned, x = aligned * mask, x * mask
    error = np.sum((x - aligned) ** 2, dtype=np.float64) / np.sum(mask)
    assert METRICS["psnr-ecc"].load()(restored, sharp) == pytest.approx(10 * np.log10(1 / error), abs=2e-3)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    scores = structural_similarity(x, aligned, channel_axis=2, full=True, **options)[1] * mask
    expected = np.mean(scores[5:-5, 5:-5].sum((0, 1)) / mask[5:-5, 5:-5].sum((0, 1)))
    assert METRICS["ssim-ecc"].load()(restored, sharp) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("id", ALL)
@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_and_black_frames_have_a_number(id, value):
    flat = np.full((48, 50, 3), value, np.uint8)
    assert not np.isnan(METRICS[id].load()(flat, to8(scene(48, 50))))


def test_ecc_without_convergence_scores_the_frame_where_it_lies():
    flat, sharp = np.full((48, 50, 3), 100, np.uint8), to8(scene(48, 50))
    assert ecc_aligned(flat, sharp)[2].min() == 1
    assert koehler_aligned(flat, sharp)[0].shape == sharp.shape


@pytest.mark.parametrize("id", ALL)
def test_bad_frames_are_refused(id):
    score, frame = METRICS[id].load(), to8(scene())
    with pytest.raises(ValueError, match="at least 32x32"):
        score(frame[:31], frame[:31])
    with pytest.raises(ValueError, match="differ in size"):
        score(frame[1:], frame)
    with pytest.raises(ValueError, match="float64"):
        score(frame / 255, frame)


@pytest.mark.parametrize("along", [0, 1])
def test_identical_frames_without_detail_along_an_axis_give_the_best_value(along):
    stripes = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[:, None], 60, axis=1)
    frame = np.stack([stripes.T if along else stripes] * 3, axis=2)
    assert METRICS["psnr-koehler"].load()(frame, frame) == np.inf
