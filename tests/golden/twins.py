"""Other implementations of the metrics: scikit-image's, and transcriptions of the definitions in float64."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def twin_psnr(restored, sharp) -> float:
    with np.errstate(divide="ignore"):
        return float(peak_signal_noise_ratio(sharp, restored, data_range=255))


def twin_ssim(restored, sharp) -> float:
    return float(
        structural_similarity(
            sharp, restored, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255,
            channel_axis=None if sharp.ndim == 2 else 2,
        )
    )  # fmt: skip


def twin_uniform7(restored, sharp) -> float:
    return float(structural_similarity(sharp, restored, data_range=255, channel_axis=2))


def twin_matlab3d(restored, sharp) -> float:
    """MATLAB's documented algorithm, literally: a three-dimensional window, replicate padding, float64."""
    g = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    window = g[:, None, None] * g[None, :, None] * g[None, None, :]
    window /= window.sum()
    assert window.shape == (11, 11, 11)

    def smooth(volume):
        return ndimage.correlate(volume, window, mode="nearest")

    x, y = restored.astype(np.float64), sharp.astype(np.float64)
    mx, my = smooth(x), smooth(y)
    vx, vy, cov = smooth(x * x) - mx**2, smooth(y * y) - my**2, smooth(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


def bt601(frame) -> np.ndarray:
    r, g, b = (frame[..., i].astype(np.float64) / 255 for i in range(3))
    return 65.481 * r + 128.553 * g + 24.966 * b + 16.0


def twin_psnr_y(restored, sharp) -> float:
    error = np.mean((bt601(restored) - bt601(sharp)) ** 2)
    return math.inf if error == 0 else float(20 * np.log10(255.0 / np.sqrt(error)))


def twin_ssim_y(restored, sharp) -> float:
    return twin_ssim(bt601(restored), bt601(sharp))


TWINS = {
    "psnr": (twin_psnr, 1, 1e-9),
    "ssim": (twin_ssim, 11, 1e-6),
    "ssim-matlab3d": (twin_matlab3d, 11, 1e-6),
    "ssim-uniform7": (twin_uniform7, 7, 1e-9),
    "psnr-y": (twin_psnr_y, 1, 1e-9),
    "ssim-y": (twin_ssim_y, 11, 1e-6),
}

SLOW = {
    "ssim-matlab3d": 6, "lpips-vgg": 19, "lpips-squeeze": 6, "lpips-alex": 2, "dists": 19, "psnr-koehler": 6,
    "ssim-koehler": 6, "psnr-ecc": 9, "ssim-ecc": 9,
}  # fmt: skip
"""Every how many frames of a real clip a slow twin is asked."""
