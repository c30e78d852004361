"""Metrics on the Y channel: luma of ITU-R BT.601 in studio range, 16 to 235, not rounded to 8 bits.

    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255,   R, G, B in 0..255

as MATLAB's rgb2ycbcr defines it and BasicSR (`to_y_channel`) and KAIR use it on float frames. The peak stays 255,
although Y spans 219 values only: so PSNR on Y is higher than on RGB, and the two must not stand in one column.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from deblurbench.frames.convert import Frame8
from deblurbench.jit import compiled
from deblurbench.metrics.base import FrameFunction
from deblurbench.metrics.checks import check_pair
from deblurbench.metrics.loops import RADIUS, gaussian_ssim, window_constants

WEIGHTS = (65_481, 128_553, 24_966)  # thousandths


def luma(frame: Frame8) -> NDArray[np.float64]:
    """Y of an 8-bit RGB frame (H, W, 3): float64 (H, W), 16 to 235."""
    return 16.0 + frame.astype(np.float64) @ (np.array(WEIGHTS) / 255_000.0)


def load_luma8() -> Callable[[Frame8], NDArray[np.uint8]]:
    """A function from an 8-bit RGB frame (H, W, 3) to its Y, rounded to 8 bits: uint8 (H, W)."""
    fill = _luma_plane()

    def luma8(frame: Frame8) -> NDArray[np.uint8]:
        filled = np.empty(frame.shape[:2], np.float32)
        fill(frame, filled)
        return np.rint(filled, out=filled).astype(np.uint8)

    return luma8


def load_psnr_y(device: str) -> FrameFunction:
    """PSNR of the Y channel in dB, peak 255. Equals BasicSR's calculate_psnr(test_y_channel=True)."""
    squared = _squared_error()

    def psnr_y(restored: Frame8, sharp: Frame8) -> float:
        one, two = check_pair(restored, sharp)
        error = squared(one, two) / (one.shape[0] * one.shape[1])
        return math.inf if error == 0 else 10 * math.log10(255**2 / error)

    return psnr_y


def load_ssim_y(device: str) -> FrameFunction:
    """`ssim`'s window on the Y channel. Equals BasicSR's calculate_ssim(test_y_channel=True)."""
    score, fill = _plane_ssim(), _luma_plane()
    window = window_constants()

    def plane(frame: Frame8) -> NDArray[np.float32]:
        filled = np.empty(frame.shape[:2], np.float32)
        fill(frame, filled)
        return filled

    def ssim_y(restored: Frame8, sharp: Frame8) -> float:
        one, two = check_pair(restored, sharp, 2 * RADIUS + 1)
        return float(score(plane(one), plane(two), *window))

    return ssim_y


@cache
def _plane_ssim() -> FrameFunction:
    small = np.zeros((11, 11), np.float32)
    return compiled(gaussian_ssim(step=1, mixed=False), small, small, *window_constants())


@cache
def _luma_plane() -> FrameFunction:
    red, green, blue = WEIGHTS

    def loop(frame: Frame8, plane: NDArray[np.float32]) -> float:
        for y in range(frame.shape[0]):
            for x in range(frame.shape[1]):
                r, g, b = np.int32(frame[y, x, 0]), np.int32(frame[y, x, 1]), np.int32(frame[y, x, 2])
                plane[y, x] = np.float32(16.0 + (red * r + green * g + blue * b) / 255_000.0)
        return 0.0

    return compiled(loop, np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32))


@cache
def _squared_error() -> FrameFunction:
    red, green, blue = WEIGHTS

    def loop(one: Frame8, two: Frame8) -> float:
        total = 0.0
        for y in range(one.shape[0]):
            row = 0.0
            for x in range(one.shape[1]):
                r = np.int32(one[y, x, 0]) - np.int32(two[y, x, 0])
                g = np.int32(one[y, x, 1]) - np.int32(two[y, x, 1])
                b = np.int32(one[y, x, 2]) - np.int32(two[y, x, 2])
                difference = np.float64(red * r + green * g + blue * b)  # thousandths of 255 Y: exact
                row += difference * difference
            total += row
        return total / 255_000.0**2

    small = np.zeros((1, 1, 3), np.uint8)
    return compiled(loop, small, small)
