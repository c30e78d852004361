"""Metrics: functions of the 8-bit frames that would be written, and the table that describes them.

Importing this package imports no numerical library but numpy; `Metric.load` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from deblurbench.errors import MissingError, UsageError
from deblurbench.metrics.base import ClipFunction, FrameFunction, Metric
from deblurbench.text import did_you_mean

__all__ = ["METRICS", "ClipFunction", "FrameFunction", "Metric", "metric"]

_WANG = "Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, IEEE TIP 13(4), 2004, doi:10.1109/TIP.2003.819861"
_ZHANG = "Zhang, Isola, Efros, Shechtman, Wang: The unreasonable effectiveness of deep features, CVPR 2018"
_KOEHLER = "Koehler et al.: Recording and playback of camera shake, ECCV 2012"
_RIM = "Rim et al.: Real-world blur dataset for learning and benchmarking deblurring algorithms, ECCV 2020"
_BT601 = "ITU-R BT.601-7, 2011, studio range"


def _psnr(id: str, title: str, citation: str, twin: str, entry: str, default: bool = False) -> Metric:
    return Metric(id, 1, "dB", True, "frame", True, math.inf, title, citation, twin, default, 2, entry)


def _ssim(id: str, title: str, citation: str, twin: str, entry: str, default: bool = False) -> Metric:
    return Metric(id, 1, "", True, "frame", True, 1.0, title, citation, twin, default, 4, entry)


def _lpips(name: str, trunk: str, default: bool = False) -> Metric:
    title, twin = f"LPIPS v0.1 ({trunk})", f"lpips.LPIPS(net='{name}', version='0.1') of the package lpips 0.1.4"
    return Metric(
        f"lpips-{name}", 1, "", False, "frame", True, 0.0, title, _ZHANG, twin, default, 4, f"lpips:load_{name}"
    )


_TABLE = (
    _psnr(
        "psnr",
        "PSNR over RGB",
        "Huynh-Thu, Ghanbari: Scope of validity of PSNR, Electronics Letters 44(13), 2008, doi:10.1049/el:20080522",
        "skimage.metrics.peak_signal_noise_ratio(data_range=255)",
        "psnr:load_psnr",
        default=True,
    ),
    _ssim(
        "ssim",
        "SSIM, Gaussian 11x11, per channel",
        _WANG,
        "skimage.metrics.structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, "
        "data_range=255, channel_axis=2); BasicSR and KAIR to 4 decimals",
        "ssim:load_ssim",
        default=True,
    ),
    _ssim(
        "ssim-matlab3d",
        "SSIM of MATLAB on RGB (11x11x11 window)",
        _WANG,
        "MATLAB's ssim(A, ref) on (H, W, 3) uint8, by its documented definition; a float64 transcription with a "
        "three-dimensional kernel",
        "ssim:load_matlab3d",
    ),
    _ssim(
        "ssim-uniform7",
        "SSIM, flat 7x7 window (scikit-image's default)",
        _WANG,
        "skimage.metrics.structural_similarity(data_range=255, channel_axis=2)",
        "ssim:load_uniform7",
    ),
    _psnr(
        "psnr-y",
        "PSNR of luma (BT.601)",
        _BT601,
        "BasicSR calculate_psnr(test_y_channel=True)",
        "luma:load_psnr_y",
    ),
    _ssim(
        "ssim-y",
        "SSIM of luma (BT.601)",
        f"{_WANG}; {_BT601}",
        "BasicSR calculate_ssim(test_y_channel=True)",
        "luma:load_ssim_y",
    ),
    _lpips("alex", "AlexNet", default=True),
    _lpips("vgg", "VGG-16"),
    _lpips("squeeze", "SqueezeNet 1.1"),
    Metric(
        "dists", 1, "", False, "frame", True, 0.0, "DISTS (VGG-16)",
        "Ding, Ma, Wang, Simoncelli: Image quality assessment: unifying structure and texture similarity, IEEE TPAMI "
        "44(5), 2022, doi:10.1109/TPAMI.2020.3045810",
        "torchmetrics.functional.image.deep_image_structure_and_texture_similarity of torchmetrics 1.9.0; the authors' "
        "package dists-pytorch 0.1 ships the same weights", False, 4, "dists:load_dists",
    ),
    _psnr(
        "psnr-koehler",
        "PSNR after intensity scaling and shift",
        _KOEHLER,
        "skimage.registration.phase_cross_correlation for the shift; the authors' MATLAB code was not run",
        "alignment:load_psnr_koehler",
    ),
    _ssim(
        "ssim-koehler",
        "SSIM after intensity scaling and shift",
        f"{_KOEHLER}; {_WANG}",
        "as psnr-koehler, then ssim's",
        "alignment:load_ssim_koehler",
    ),
    _psnr(
        "psnr-ecc",
        "PSNR after scaling and ECC homography, masked",
        _RIM,
        "a transcription of RealBlur's evaluation (scaling, cv2.findTransformECC, mask)",
        "alignment:load_psnr_ecc",
    ),
    _ssim(
        "ssim-ecc",
        "SSIM after scaling and ECC homography, masked",
        f"{_RIM}; {_WANG}",
        "a transcription of RealBlur's evaluation, scikit-image's map under its mask",
        "alignment:load_ssim_ecc",
    ),
    Metric(
        "tpsnr", 1, "dB", True, "clip", True, math.inf, "PSNR of frame differences",
        "PSNR of temporal differences; definition in deblurbench/metrics/temporal.py",
        "a float64 transcription of the formula", False, 2, "temporal:load_tpsnr",
    ),
    Metric(
        "tof", 1, "px", False, "clip", True, 0.0, "Difference of optical flows (tOF)",
        "Chu et al.: Learning temporal coherence via self-supervision (TecoGAN), ACM TOG 39(4), 2020",
        "the formula with OpenCV's DIS flow; papers use other flows", False, 3, "temporal:load_tof",
    ),
    Metric(
        "warp-error", 1, "", False, "clip", True, math.nan, "Warping error along the sharp clip's flow",
        "Lai et al.: Learning blind video temporal consistency, ECCV 2018",
        "the formula with OpenCV's DIS flow; papers use other flows", False, 5, "temporal:load_warp_error",
    ),
    Metric(
        "vmaf", 1, "", True, "clip", True, math.nan, "VMAF (model vmaf_v0.6.1)",
        "Li, Aaron, Katsavounidis, Moorthy, Manohara: Toward a practical perceptual video quality metric, Netflix "
        "technology blog, 2016; https://github.com/Netflix/vmaf",
        "libvmaf itself on two files of raw luma; the package vmaf-torch 1.1.0, the model in floating point, to .01 on "
        "real frames", False, 2, "vmaf:load_vmaf",
    ),
    Metric(
        "sharpness", 1, "", True, "frame", False, math.nan, "Variance of the Laplacian (no reference)",
        "Pech-Pacheco et al.: Diatom autofocusing in brightfield microscopy, ICPR 2000",
        "scipy.ndimage.laplace on luma, without the border", False, 1, "sharpness:load_sharpness",
    ),
)  # fmt: skip

METRICS: dict[str, Metric] = {entry.id: entry for entry in _TABLE}


def metric(id: str) -> Metric:
    """The metric called `id`.

    Raises:
        UsageError: no such metric; the nearest name is given.
    """
    if id not in METRICS:
        raise UsageError(
            f"no metric is called {id!r}. {did_you_mean(id, METRICS)} 'deblurbench list metrics' describes them."
        )
    return METRICS[id]


def load_metrics(ids: Iterable[str], device: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Frame-level metrics, clip-level metrics, and for those that cannot be loaded here the reason, all by id."""
    frame_level: dict[str, Any] = {}
    clip_level: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name in ids:
        entry = metric(name)
        try:
            loaded = entry.load(device if entry.uses_network else "cpu")
        except MissingError as error:
            absent[name] = str(error)
            continue
        (frame_level if entry.level == "frame" else clip_level)[name] = loaded
    return frame_level, clip_level, absent
