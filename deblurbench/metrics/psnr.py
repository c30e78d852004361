"""Peak signal-to-noise ratio: 10 log10(255^2 / MSE) in dB over all pixels and channels of a frame.

The squared error is summed in integers (OpenCV's norm, releases the GIL), so the only rounding is the logarithm's.
Equals skimage.metrics.peak_signal_noise_ratio(data_range=255). Identical frames score `inf`.
"""

from __future__ import annotations

import math

from deblurbench.frames.convert import Frame8
from deblurbench.metrics.base import FrameFunction
from deblurbench.metrics.checks import check_pair


def load_psnr(device: str) -> FrameFunction:
    """PSNR of two 8-bit RGB frames in dB, peak 255."""
    import cv2

    def psnr(restored: Frame8, sharp: Frame8) -> float:
        one, two = check_pair(restored, sharp)
        squared = round(cv2.norm(one, two, cv2.NORM_L2SQR))  # an integer up to the double's last digit
        return math.inf if squared == 0 else 10 * math.log10(255**2 * one.size / squared)

    return psnr
