"""PSNR and SSIM after the restored frame was matched to the sharp one in intensity and position.

Where ground truth is not registered to the pixel, or a method may shift the image (a deblurred frame is sharp at *some*
moment of the exposure), benchmarks align first:

* **koehler** (Koehler et al., ECCV 2012; used for DVD by Su et al., CVPR 2017): scale the restored frame by
  a = <sharp, restored> / <restored, restored>, then shift it by the translation that maximises the cross-correlation
  with the sharp frame, found to a tenth of a pixel (Guizar-Sicairos et al., 2008). The border that the shift leaves
  undefined is not scored.
* **ecc** (RealBlur: Rim et al., ECCV 2020): the same scaling, then a homography found by maximising the enhanced
  correlation coefficient (OpenCV's findTransformECC, 100 iterations, Gaussian of 5 pixels), bicubic; only pixels that
  the warped frame covers are scored. Where ECC does not converge, the frame is scored where it lies.

Scaled and moved values are neither rounded nor clipped.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deblurbench.frames.convert import Frame8
from deblurbench.jit import compiled
from deblurbench.metrics.base import FrameFunction
from deblurbench.metrics.checks import check_pair
from deblurbench.metrics.loops import RADIUS, gaussian_ssim, window_constants

UPSAMPLING = 10  # the shift is found to 1/10 pixel
SMALLEST = 32
Values = NDArray[np.float32]


def koehler_aligned(restored: Frame8, sharp: Frame8) -> tuple[Values, Values]:
    """The restored frame, scaled and shifted, and the sharp one, cropped to what both cover.

    Both float32 (h, w, 3), about 0 to 255.
    """
    import cv2
    from skimage.registration import phase_cross_correlation

    scaled, target = scale_to(restored, sharp), sharp.astype(np.float32)
    if np.array_equal(scaled, target):  # the search for a shift is at a loss where an axis holds no detail
        return scaled, target
    greys = [frame.mean(axis=2, dtype=np.float64) for frame in (target, scaled)]
    if min(float(np.ptp(grey)) for grey in greys) < 1e-3:  # a flat frame lies anywhere equally well
        return scaled, target
    shift = phase_cross_correlation(*greys, upsample_factor=UPSAMPLING, normalization=None)[0]
    down, right = (float(value) for value in shift)
    if not down and not right:
        return scaled, target
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    moved = cv2.warpAffine(scaled, matrix, (sharp.shape[1], sharp.shape[0]), flags=cv2.INTER_CUBIC)
    y, x = (_covered(value, length) for value, length in zip((down, right), sharp.shape, strict=False))
    return np.ascontiguousarray(moved[y, x], np.float32), np.ascontiguousarray(target[y, x])


def ecc_aligned(restored: Frame8, sharp: Frame8) -> tuple[Values, Values, Values]:
    """The restored frame, scaled and warped, the sharp one, both 0 outside the mask, and the mask of 0 and 1.

    All float32 (H, W, 3), the frames about 0 to 255.
    """
    import cv2

    scaled, target = scale_to(restored, sharp) / np.float32(255), sharp.astype(np.float32) / np.float32(255)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (target, scaled)]
    search: Any = cv2.findTransformECC
    try:
        warp = search(*grey, np.eye(3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY, criteria, None, 5)[1]
    except cv2.error:  # no convergence, e.g. on a flat frame
        warp = np.eye(3, dtype=np.float32)
    size, inverse = (sharp.shape[1], sharp.shape[0]), cv2.WARP_INVERSE_MAP
    moved = cv2.warpPerspective(scaled, warp, size, flags=cv2.INTER_CUBIC | inverse, borderMode=cv2.BORDER_REFLECT)
    mask = cv2.warpPerspective(np.ones_like(scaled), warp, size, flags=cv2.INTER_NEAREST | inverse)
    covered = np.asarray(mask, np.float32)
    return np.asarray(moved, np.float32) * covered * 255, target * covered * 255, covered


def scale_to(restored: Frame8, sharp: Frame8) -> Values:
    """The restored frame times the factor that brings it nearest to the sharp one: float32, not clipped."""
    z, x = restored.astype(np.float64), sharp.astype(np.float64)
    energy = float((z * z).sum())
    factor = float((x * z).sum()) / energy if energy else 1.0
    return (factor * z).astype(np.float32)


def load_psnr_koehler(device: str) -> FrameFunction:
    """PSNR in dB, peak 255, after scaling and shifting."""

    def psnr_koehler(restored: Frame8, sharp: Frame8) -> float:
        moved, target = koehler_aligned(*check_pair(restored, sharp, SMALLEST))
        return _psnr(float(((moved.astype(np.float64) - target) ** 2).mean()))

    return psnr_koehler


def load_ssim_koehler(device: str) -> FrameFunction:
    """`ssim` after scaling and shifting."""
    score, window = _float_ssim(), window_constants()

    def ssim_koehler(restored: Frame8, sharp: Frame8) -> float:
        moved, target = koehler_aligned(*check_pair(restored, sharp, SMALLEST))
        return float(score(moved.reshape(len(moved), -1), target.reshape(len(target), -1), *window))

    return ssim_koehler


def load_psnr_ecc(device: str) -> FrameFunction:
    """PSNR in dB, peak 255, over the pixels that the warped frame covers."""

    def psnr_ecc(restored: Frame8, sharp: Frame8) -> float:
        moved, target, mask = ecc_aligned(*check_pair(restored, sharp, SMALLEST))
        return _psnr(float(((moved.astype(np.float64) - target) ** 2).sum() / max(float(mask.sum()), 1.0)))

    return psnr_ecc


def load_ssim_ecc(device: str) -> FrameFunction:
    """The mean of `ssim`'s map over the pixels that the warped frame covers."""
    from skimage.metrics import structural_similarity

    def ssim_ecc(restored: Frame8, sharp: Frame8) -> float:
        moved, target, mask = ecc_aligned(*check_pair(restored, sharp, SMALLEST))
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        scores = structural_similarity(target, moved, channel_axis=2, full=True, **options)[1]
        inner = np.s_[RADIUS:-RADIUS, RADIUS:-RADIUS]
        covered = mask[inner].astype(np.float64)
        return float((scores[inner] * covered).sum() / max(float(covered.sum()), 1.0))

    return ssim_ecc


def _psnr(error: float) -> float:
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _covered(shift: float, length: int) -> slice:
    """Rows or columns that a shifted frame still covers, less the two that bicubic interpolation reads beyond."""
    first = math.ceil(max(shift, 0.0)) + 2
    last = length + math.floor(min(shift, 0.0)) - 2
    if last - first < 2 * RADIUS + 1:
        raise ValueError(
            f"the restored frame matches the sharp one only when shifted by {shift:.1f} of {length} pixels"
        )
    return slice(first, last)


@cache
def _float_ssim() -> FrameFunction:
    small = np.zeros((11, 33), np.float32)
    return compiled(gaussian_ssim(step=3, mixed=False), small, small, *window_constants())
