"""Twins of the aligned, temporal and no-reference metrics: transcriptions of their definitions in numpy and scipy.

What has one implementation only (OpenCV's DIS flow and ECC, scikit-image's registration, libvmaf) is shared; all around
it is written again: scaling, interpolation, masks, differences, means.
"""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity
from skimage.registration import phase_cross_correlation

from tests.golden.twins import bt601

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2}


def decibels(error: float, peak: float = 255.0) -> float:
    return math.inf if error < 1e-20 else float(20 * np.log10(peak) - 10 * np.log10(error))


def least_squares(restored, sharp) -> np.ndarray:
    flat = restored.reshape(-1, 1).astype(float)
    factor = np.linalg.lstsq(flat, sharp.reshape(-1).astype(float), rcond=None)[0][0] if flat.any() else 1.0
    return factor * restored.astype(float)


def cubic_shift(values: np.ndarray, shift: float, axis: int) -> np.ndarray:
    """values(x - shift) by Keys' kernel with a = -.75, as OpenCV 5; zeros beyond the border."""
    whole = math.floor(-shift)
    t = -shift - whole
    a = -0.75
    near = [(a + 2) * d**3 - (a + 3) * d**2 + 1 for d in (t, 1 - t)]
    far = [a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a for d in (1 + t, 2 - t)]
    total = np.zeros_like(values)
    for offset, weight in zip((-1, 0, 1, 2), (far[0], near[0], near[1], far[1]), strict=True):
        total += weight * ndimage.shift(values, [-(whole + offset) if i == axis else 0 for i in range(3)], order=0)
    return total


def koehler(restored, sharp) -> tuple[np.ndarray, np.ndarray]:
    """Scaled, shifted to the peak of the cross-correlation, and cropped to what both cover."""
    scaled, target = least_squares(restored, sharp), sharp.astype(float)
    if min(np.ptp(f.mean(2)) for f in (scaled, target)) < 1e-3:
        return scaled, target
    shift = phase_cross_correlation(target.mean(2), scaled.mean(2), upsample_factor=10, normalization=None)[0]
    if not shift.any():
        return scaled, target
    moved = cubic_shift(cubic_shift(scaled, shift[0], 0), shift[1], 1)
    crop = []
    for value, length in zip(shift, sharp.shape, strict=False):
        first, last = max(0, math.ceil(value)), length + min(0, math.floor(value))
        crop.append(slice(first + 2, last - 2))
    return moved[tuple(crop)], target[tuple(crop)]


def twin_psnr_koehler(restored, sharp) -> float:
    one, two = koehler(restored, sharp)
    return decibels(float(((one - two) ** 2).mean()))


def twin_ssim_koehler(restored, sharp) -> float:
    one, two = koehler(restored, sharp)
    return float(structural_similarity(two, one, data_range=255, **WANG))


def ecc(restored, sharp) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RealBlur's evaluation: frames in [0, 1], a homography by ECC, a mask three channels deep."""
    x, z = (f.astype(np.float32) / np.float32(255) for f in (sharp, least_squares(restored, sharp)))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
    try:
        greys = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (x, z)]
        warp = cv2.findTransformECC(*greys, np.eye(3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY, criteria, None, 5)[1]
    except cv2.error:
        warp = np.eye(3, dtype=np.float32)
    size = (sharp.shape[1], sharp.shape[0])
    flags = cv2.INTER_CUBIC + cv2.WARP_INVERSE_MAP
    aligned = cv2.warpPerspective(z, warp, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    flags = cv2.INTER_NEAREST + cv2.WARP_INVERSE_MAP
    mask = cv2.warpPerspective(np.ones_like(z), warp, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return aligned * mask, x * mask, mask


def twin_psnr_ecc(restored, sharp) -> float:
    aligned, x, mask = ecc(restored, sharp)
    return decibels(float(np.sum((x - aligned).astype(float) ** 2) / np.sum(mask)), 1.0)


def twin_ssim_ecc(restored, sharp) -> float:
    aligned, x, mask = ecc(restored, sharp)
    scores = structural_similarity(x.astype(float), aligned.astype(float), data_range=1.0, full=True, **WANG)[1] * mask
    inner = np.s_[5:-5, 5:-5]
    return float(np.mean(scores[inner].sum((0, 1)) / mask[inner].sum((0, 1))))


def twin_sharpness(restored, sharp=None) -> float:
    return float(ndimage.laplace(restored @ np.array([0.299, 0.587, 0.114]))[1:-1, 1:-1].var())


def dis(first, second) -> np.ndarray:
    greys = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (first, second)]
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*greys, None)


def twin_tpsnr(restored, sharp) -> float:
    changes = [np.diff(np.stack(frames).astype(float), axis=0) for frames in (restored, sharp)]
    return decibels(float(((changes[0] - changes[1]) ** 2).mean()))


def twin_tof(restored, sharp) -> float:
    flows = [[dis(a, b).astype(float) for a, b in itertools.pairwise(f)] for f in (restored, sharp)]
    return float(np.mean([np.sqrt(((r - s) ** 2).sum(2)).mean() for r, s in zip(*flows, strict=True)]))


def twin_warp_error(restored, sharp) -> float:
    return float(np.mean([_warp(restored[t - 1 : t + 1], sharp[t - 1 : t + 1]) for t in range(1, len(sharp))]))


def _warp(restored, sharp) -> float:
    back, forth = dis(sharp[1], sharp[0]), dis(sharp[0], sharp[1])
    height, width = back.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ys, xs = y + back[..., 1], x + back[..., 0]

    def pull(plane):
        return ndimage.map_coordinates(plane.astype(float), [ys, xs], order=1, mode="nearest")

    warped = np.stack([pull(restored[0][..., c]) for c in range(3)], 2)
    returned = np.stack([pull(forth[..., c]) for c in range(2)], 2)
    gap = ((back + returned) ** 2).sum(2)
    seen = gap <= 0.01 * ((back**2).sum(2) + (returned**2).sum(2)) + 0.5
    seen &= (xs >= 0) & (ys >= 0) & (xs <= width - 1) & (ys <= height - 1)
    return float((((restored[1] - warped) / 255) ** 2).mean(2)[seen].mean()) if seen.any() else 0.0


def twin_vmaf(restored, sharp) -> float:
    """The package vmaf-torch: the model in floating point."""
    import torch
    from vmaf_torch import VMAF

    one, two = (torch.from_numpy(np.stack([np.rint(bt601(f)) for f in c]))[:, None].float() for c in (restored, sharp))
    with torch.no_grad():
        return float(VMAF()(two, one).clamp(0, 100).mean())


MORE_TWINS = {
    "psnr-koehler": (twin_psnr_koehler, 32, 1e-5),
    "ssim-koehler": (twin_ssim_koehler, 32, 1e-6),
    "psnr-ecc": (twin_psnr_ecc, 32, 1e-5),
    "ssim-ecc": (twin_ssim_ecc, 32, 2e-5),
    "sharpness": (twin_sharpness, 32, 1e-9),
}
CLIP_TWINS = {
    "tpsnr": (twin_tpsnr, 32, 1e-9),
    "tof": (twin_tof, 32, 1e-6),
    "warp-error": (twin_warp_error, 32, 1e-6),
}
