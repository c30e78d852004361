"""psnr, the SSIMs and the luma metrics against other implementations, on pairs that break careless ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deblurbench.metrics import METRICS
from tests.golden.image_pairs import image_pairs
from tests.golden.twins import TWINS, twin_matlab3d, twin_ssim
from tests.golden.twins_more import CLIP_TWINS, MORE_TWINS

NAMES = tuple(image_pairs(11))
FRAME_TWINS = {**TWINS, **MORE_TWINS}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("metric", FRAME_TWINS)
def test_equals_its_twin(metric, name):
    twin, window, tolerance = FRAME_TWINS[metric]
    restored, sharp = image_pairs(window)[name]
    assert METRICS[metric].load()(restored, sharp) == pytest.approx(twin(restored, sharp), abs=tolerance, rel=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("metric", CLIP_TWINS)
def test_clip_metrics_equal_their_twins(metric, name):
    """Three frames, in which the restored one moves by one pixel and the sharp one by two."""
    twin, window, tolerance = CLIP_TWINS[metric]
    pair = image_pairs(window)[name]
    clips = [[np.roll(frame, step * t, 1).copy() for t in range(3)] for step, frame in zip((1, 2), pair, strict=True)]
    measured = METRICS[metric].load()()
    for frames in zip(*clips, strict=True):
        measured.add(*frames)
    assert measured.result() == pytest.approx(twin(*clips), abs=tolerance, rel=0)


def test_every_metric_has_a_golden_test():
    elsewhere = {"lpips-alex", "lpips-vgg", "lpips-squeeze", "dists", "vmaf"}  # test_{lpips,dists}_golden, metrics_vmaf
    assert {*FRAME_TWINS, *CLIP_TWINS, *elsewhere} == set(METRICS)
    assert len(NAMES) >= 6 and {"saturated", "flat", "noisy", "dark", "odd-sized", "tiny"} <= set(NAMES)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (3, 2), (12, 11)])
def test_matlab3d_takes_frames_smaller_than_its_window(size):
    rng = np.random.default_rng(5)
    restored, sharp = (rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(2))
    assert METRICS["ssim-matlab3d"].load()(restored, sharp) == pytest.approx(twin_matlab3d(restored, sharp), abs=1e-6)


@pytest.mark.parametrize("size", [(11, 11), (43, 129), (42, 128), (75, 247)])
def test_ssim_at_the_borders_of_its_tiles(size):
    """Sizes just at and beyond a tile of the loop: every window position counts exactly once."""
    rng = np.random.default_rng(7)
    sharp = rng.integers(0, 256, (*size, 3), np.uint8)
    restored = (sharp * 0.8 + rng.integers(0, 40, sharp.shape)).astype(np.uint8)
    assert METRICS["ssim"].load()(restored, sharp) == pytest.approx(twin_ssim(restored, sharp), abs=1e-6)


def test_ssim_equals_the_11x11_valid_filter_of_basicsr_to_four_decimals():
    """BasicSR and KAIR: cv2.filter2D with getGaussianKernel(11, 1.5) both ways, cropped by 5, per channel."""
    import cv2

    kernel = cv2.getGaussianKernel(11, 1.5)
    window = np.outer(kernel, kernel.T)

    def smooth(plane):
        return cv2.filter2D(plane, -1, window)[5:-5, 5:-5]

    restored, sharp = image_pairs(11)["blurred"]
    values = []
    for channel in range(3):
        x, y = restored[..., channel].astype(np.float64), sharp[..., channel].astype(np.float64)
        mx, my = smooth(x), smooth(y)
        vx, vy, cov = smooth(x * x) - mx**2, smooth(y * y) - my**2, smooth(x * y) - mx * my
        quotient = (2 * mx * my + 6.5025) * (2 * cov + 58.5225) / ((mx**2 + my**2 + 6.5025) * (vx + vy + 58.5225))
        values.append(quotient.mean())
    assert METRICS["ssim"].load()(restored, sharp) == pytest.approx(np.mean(values), abs=5e-5)


def test_psnr_sums_exactly_where_32_bits_would_overflow():
    black = np.zeros((2000, 3000, 3), np.uint8)
    white = np.full_like(black, 255)
    white[0, 0, 0] = 254  # one value in 18 million must not be lost
    expected = 10 * math.log10(255**2 * black.size / (255**2 * (black.size - 1) + 254**2))
    assert METRICS["psnr"].load()(black, white) == expected


@pytest.mark.real_data
@pytest.mark.parametrize("metric", ["psnr", "ssim", "ssim-uniform7", "psnr-y", "ssim-y"])
def test_identity_on_the_real_clip_equals_its_twin(metric, real_data):
    from deblurbench.frames.images import read_frame

    clip = real_data / "GOPRO_Large" / "train" / "GOPR0372_07_00"
    blurry, sharp = (read_frame(clip / kind / "000060.png") for kind in ("blur", "sharp"))
    twin, _, tolerance = TWINS[metric]
    assert METRICS[metric].load()(blurry, sharp) == pytest.approx(twin(blurry, sharp), abs=tolerance)
