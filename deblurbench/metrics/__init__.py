"""Metrics: functions of the 8-bit frames that would be written, and the table that describes them.

Importing this package imports no numerical library but numpy; `Metric.load` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from deblurbench.errors import MissingError, UsageError
from deblurbench.metrics.base import ClipFunction, FrameFunction, Metric
from deblurbench.metrics.plugins import MetricTable
from deblurbench.text import did_you_mean

__all__ = ["METRICS", "ClipFunction", "FrameFunction", "Metric", "metric"]

_WANG = "Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, IEEE TIP 13(4), 2004, doi:10.1109/TIP.2003.819861"
_ZHANG = "Zhang, Isola, Efros, Shechtman, Wang: The unreasonable effectiveness of deep features, CVPR 2018"
_KOEHLER = "Koehler et al.: Recording and playback of camera shake, ECCV 2012"
_RIM = "Rim et al.: Real-world blur dataset for learning and benchmarking deblurring algorithms, ECCV 2020"
_BT601 = "ITU-R BT.601-7, 2011, studio range"


def _psnr(**row: Any) -> Metric:
    return Metric(unit="dB", higher_is_better=True, best=math.inf, decimals=2, **row)


def _ssim(**row: Any) -> Metric:
    return Metric(unit="", higher_is_better=True, best=1.0, decimals=4, **row)


def _network(**row: Any) -> Metric:
    """A distance between the activations of a network, whose weights are files of their own."""
    return Metric(unit="", higher_is_better=False, best=0.0, decimals=4, uses_network=True, needs_files=True, **row)


_TABLE = (
    _psnr(
        id="psnr",
        version=1,
        title="PSNR over RGB",
        citation="Huynh-Thu, Ghanbari: Scope of validity of PSNR, Electronics Letters 44(13), 2008, "
        "doi:10.1049/el:20080522",
        twin="skimage.metrics.peak_signal_noise_ratio(data_range=255)",
        default=True,
        entry="psnr:load_psnr",
    ),
    _ssim(
        id="ssim",
        version=1,
        title="SSIM, Gaussian 11x11, per channel",
        citation=_WANG,
        twin="skimage.metrics.structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, "
        "data_range=255, channel_axis=2); BasicSR and KAIR to 4 decimals",
        default=True,
        min_size=11,
        entry="ssim:load_ssim",
    ),
    _ssim(
        id="ssim-matlab3d",
        version=1,
        title="SSIM of MATLAB on RGB (11x11x11 window)",
        citation=_WANG,
        twin="MATLAB's ssim(A, ref) on (H, W, 3) uint8, by its documented definition; a float64 transcription with a "
        "three-dimensional kernel",
        entry="ssim:load_matlab3d",
    ),
    _ssim(
        id="ssim-uniform7",
        version=1,
        title="SSIM, flat 7x7 window (scikit-image's default)",
        citation=_WANG,
        twin="skimage.metrics.structural_similarity(data_range=255, channel_axis=2)",
        min_size=7,
        entry="ssim:load_uniform7",
    ),
    _psnr(
        id="psnr-y",
        version=1,
        title="PSNR of luma (BT.601)",
        citation=_BT601,
        twin="BasicSR calculate_psnr(test_y_channel=True)",
        entry="luma:load_psnr_y",
    ),
    _ssim(
        id="ssim-y",
        version=1,
        title="SSIM of luma (BT.601)",
        citation=f"{_WANG}; {_BT601}",
        twin="BasicSR calculate_ssim(test_y_channel=True)",
        min_size=11,
        entry="luma:load_ssim_y",
    ),
    _network(
        id="lpips-alex",
        version=1,
        title="LPIPS v0.1 (AlexNet)",
        citation=_ZHANG,
        twin="lpips.LPIPS(net='alex', version='0.1') of the package lpips 0.1.4",
        default=True,
        min_size=31,
        entry="lpips:load_alex",
    ),
    _network(
        id="lpips-vgg",
        version=1,
        title="LPIPS v0.1 (VGG-16)",
        citation=_ZHANG,
        twin="lpips.LPIPS(net='vgg', version='0.1') of the package lpips 0.1.4",
        min_size=16,
        entry="lpips:load_vgg",
    ),
    _network(
        id="lpips-squeeze",
        version=1,
        title="LPIPS v0.1 (SqueezeNet 1.1)",
        citation=_ZHANG,
        twin="lpips.LPIPS(net='squeeze', version='0.1') of the package lpips 0.1.4",
        min_size=17,
        entry="lpips:load_squeeze",
    ),
    _network(
        id="dists",
        version=1,
        title="DISTS (VGG-16)",
        citation="Ding, Ma, Wang, Simoncelli: Image quality assessment: unifying structure and texture similarity, "
        "IEEE TPAMI 44(5), 2022, doi:10.1109/TPAMI.2020.3045810",
        twin="torchmetrics.functional.image.deep_image_structure_and_texture_similarity of torchmetrics 1.9.0; the "
        "authors' package dists-pytorch 0.1 ships the same weights",
        min_size=16,
        entry="dists:load_dists",
    ),
    _psnr(
        id="psnr-koehler",
        version=1,
        title="PSNR after intensity scaling and shift",
        citation=_KOEHLER,
        twin="skimage.registration.phase_cross_correlation for the shift; the authors' MATLAB code was not run",
        min_size=32,
        entry="alignment:load_psnr_koehler",
    ),
    _ssim(
        id="ssim-koehler",
        version=1,
        title="SSIM after intensity scaling and shift",
        citation=f"{_KOEHLER}; {_WANG}",
        twin="as psnr-koehler, then ssim's",
        min_size=32,
        entry="alignment:load_ssim_koehler",
    ),
    _psnr(
        id="psnr-ecc",
        version=1,
        title="PSNR after scaling and ECC homography, masked",
        citation=_RIM,
        twin="a transcription of RealBlur's evaluation (scaling, cv2.findTransformECC, mask)",
        min_size=32,
        entry="alignment:load_psnr_ecc",
    ),
    _ssim(
        id="ssim-ecc",
        version=1,
        title="SSIM after scaling and ECC homography, masked",
        citation=f"{_RIM}; {_WANG}",
        twin="a transcription of RealBlur's evaluation, scikit-image's map under its mask",
        min_size=32,
        entry="alignment:load_ssim_ecc",
    ),
    _psnr(
        id="tpsnr",
        version=1,
        level="clip",
        title="PSNR of frame differences",
        citation="PSNR of temporal differences; definition in deblurbench/metrics/temporal.py",
        twin="a float64 transcription of the formula",
        min_size=32,
        entry="temporal:load_tpsnr",
    ),
    Metric(
        id="tof",
        version=1,
        level="clip",
        unit="px",
        higher_is_better=False,
        best=0.0,
        decimals=3,
        title="Difference of optical flows (tOF)",
        citation="Chu et al.: Learning temporal coherence via self-supervision (TecoGAN), ACM TOG 39(4), 2020",
        twin="the formula with OpenCV's DIS flow; papers use other flows",
        min_size=32,
        entry="temporal:load_tof",
    ),
    Metric(
        id="warp-error",
        version=1,
        level="clip",
        unit="",
        higher_is_better=False,
        best=math.nan,
        decimals=5,
        title="Warping error along the sharp clip's flow",
        citation="Lai et al.: Learning blind video temporal consistency, ECCV 2018",
        twin="the formula with OpenCV's DIS flow; papers use other flows",
        min_size=32,
        entry="temporal:load_warp_error",
    ),
    Metric(
        id="vmaf",
        version=1,
        level="clip",
        unit="",
        higher_is_better=True,
        best=math.nan,
        decimals=2,
        title="VMAF (model vmaf_v0.6.1)",
        citation="Li, Aaron, Katsavounidis, Moorthy, Manohara: Toward a practical perceptual video quality metric, "
        "Netflix technology blog, 2016; https://github.com/Netflix/vmaf",
        twin="libvmaf itself on two files of raw luma; the package vmaf-torch 1.1.0, the model in floating point, to "
        ".01 on real frames",
        needs_files=True,
        min_size=32,
        entry="vmaf:load_vmaf",
    ),
    Metric(
        id="sharpness",
        version=1,
        unit="",
        higher_is_better=True,
        best=math.nan,
        decimals=1,
        needs_reference=False,
        title="Variance of the Laplacian (no reference)",
        citation="Pech-Pacheco et al.: Diatom autofocusing in brightfield microscopy, ICPR 2000",
        twin="scipy.ndimage.laplace on luma, without the border",
        min_size=3,
        entry="sharpness:load_sharpness",
    ),
)

METRICS = MetricTable({entry.id: entry for entry in _TABLE})
"""All metrics by id: the built-in ones, in the order of tables, and those of plugins."""


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


def fits(id: str, width: int, height: int) -> bool:
    """Whether a metric can be computed on frames of a size, 0 for an unknown one; metrics of other versions can."""
    return id not in METRICS or not width or METRICS[id].fits((width, height))


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
