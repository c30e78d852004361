"""Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004) in the three forms that the field's tables mix.

* `ssim`: Gaussian window 11x11, sigma 1.5, population covariance, each channel by itself, only where the window lies
  inside the frame; mean over positions and channels. scikit-image with `gaussian_weights=True, sigma=1.5,
  use_sample_covariance=False`; BasicSR and KAIR to 4 decimals.
* `ssim-matlab3d`: what MATLAB's `ssim` does to an RGB frame: an 11x11x11 window over height, width and channels, with
  replicated borders, as many positions as pixels. It mixes the channels and reads some hundredths higher.
* `ssim-uniform7`: scikit-image's default: flat 7x7 window, sample covariance.

K1 = 0.01, K2 = 0.03 and data range 255 throughout.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from deblurbench.frames.convert import Frame8
from deblurbench.jit import compiled
from deblurbench.metrics.base import FrameFunction
from deblurbench.metrics.checks import check_pair
from deblurbench.metrics.loops import RADIUS, gaussian_ssim, uniform_ssim, window_constants

WINDOW = 2 * RADIUS + 1


def load_ssim(device: str) -> FrameFunction:
    """SSIM with the Gaussian window, per channel: 1 for identical frames."""
    score, window = _gaussian(mixed=False), window_constants()

    def ssim(restored: Frame8, sharp: Frame8) -> float:
        one, two = check_pair(restored, sharp, WINDOW)
        return float(score(_rows(one), _rows(two), *window))

    return ssim


def load_matlab3d(device: str) -> FrameFunction:
    """SSIM with MATLAB's three-dimensional window; frames of any size.

    With only three channels, an 11-tap filter along them with replicated ends is a fixed 3x3 matrix: no volume is
    ever filtered, and the value is the same.
    """
    score, window = _gaussian(mixed=True), window_constants()

    def ssim_matlab3d(restored: Frame8, sharp: Frame8) -> float:
        one, two = check_pair(restored, sharp)
        return float(score(_rows(_replicated(one)), _rows(_replicated(two)), *window))

    return ssim_matlab3d


def load_uniform7(device: str) -> FrameFunction:
    """SSIM with scikit-image's default window."""
    score = _uniform()

    def ssim_uniform7(restored: Frame8, sharp: Frame8) -> float:
        one, two = check_pair(restored, sharp, 7)
        return float(score(_rows(one), _rows(two)))

    return ssim_uniform7


def _rows(frame: Frame8) -> NDArray[np.uint8]:
    return frame.reshape(frame.shape[0], -1)


def _replicated(frame: Frame8) -> Frame8:
    return np.pad(frame, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="edge")


@cache
def _gaussian(mixed: bool) -> FrameFunction:
    small = np.zeros((WINDOW, 3 * WINDOW), np.uint8)
    return compiled(gaussian_ssim(step=3, mixed=mixed), small, small, *window_constants())


@cache
def _uniform() -> FrameFunction:
    small = np.zeros((7, 21), np.uint8)
    return compiled(uniform_ssim(), small, small)
