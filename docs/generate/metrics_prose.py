"""What each metric computes, in words and formulas, and what goes wrong when numbers of different kinds are compared.

The source of docs/metrics.md. Figures quoted here were measured, or come from the sources named.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """The prose of one metric: what it is, its formula, and the traps of comparing it."""

    what: str
    formula: str
    traps: str


_LPIPS = Explanation(
    "The distance of the activations of a network trained to classify images, weighted so that it follows people's "
    "judgements. Frames go to [-1, 1] (x / 127.5 - 1). Needs the trunk's weights: `deblurbench data fetch {id}`, or "
    "`DEBLURBENCH_LPIPS` = a file or folder; without them the column is absent and the report says so.",
    "sum over taps l of mean over positions of w_l . (u_l(x) - u_l(y))^2,   u = activation / (length over channels "
    "+ 1e-10)",
    "The three trunks give different numbers, so the trunk is part of the name. Version 0.1 scales the inputs per "
    "channel, version 0.0 did not. Feeding [0, 1] instead of [-1, 1] runs without an error and gives other numbers. "
    "On a GPU, TF32 is switched off for it, so that CPU and GPU agree. {cost}",
)


def _lpips(id: str, cost: str) -> Explanation:
    return Explanation(_LPIPS.what.format(id=id), _LPIPS.formula, _LPIPS.traps.format(cost=cost))


EXPLAINED: dict[str, Explanation] = {
    "psnr": Explanation(
        "Pixel-wise fidelity over all pixels and channels of a frame. The squared error is an exact integer.",
        "10 log10(255^2 / MSE)",
        "Identical frames give `inf`, which no mean can hold: it is stored as `inf` and reported. The mean of the "
        "frames' PSNR and the PSNR of the mean error differ by more than 1 dB on mixed clips; tables here show the "
        "mean of frames, as papers do. Truncating to 8 bits instead of rounding moves it by up to .02 dB at 30 dB, "
        "but -.7 dB at 48 dB.",
    ),
    "ssim": Explanation(
        "Local agreement of mean, variance and structure under a Gaussian window of 11x11 pixels (sigma 1.5), for "
        "each colour channel by itself, at the positions where the window lies inside the frame. The canonical "
        "SSIM: scikit-image with the arguments of the twin, BasicSR, KAIR.",
        "mean of (2 mx my + C1)(2 cov + C2) / ((mx^2 + my^2 + C1)(vx + vy + C2)),   C1 = (.01 * 255)^2, C2 = (.03 * "
        "255)^2",
        "`ssim` is not one number. The same pair scores .8617 here, .8729 with scikit-image's default "
        "(`ssim-uniform7`), .03 to .16 more with MATLAB's `ssim` (`ssim-matlab3d`), about .02 more on luma "
        "(`ssim-y`), and .9439 with libraries that halve the frame first. Compare a number only with numbers of the "
        "same kind.",
    ),
    "ssim-matlab3d": Explanation(
        "What MATLAB's `ssim(A, ref)` does when it is given an RGB frame: it takes the three channels for a volume "
        "and slides an 11x11x11 Gaussian through it, with replicated borders. The SSIM of the SRN and DeepDeblur "
        "papers, of MPRNet and NAFNet.",
        "as `ssim`, with the window over height, width and channels, at every pixel. Along three channels with "
        "replicated ends an 11-tap filter is a fixed 3x3 matrix, so nothing three-dimensional is computed.",
        "Reads higher than `ssim`: by .11 on the blurry clip above, by about .03 on good restorations of GOPRO, by "
        "up to .16 on saturated frames. MATLAB itself was not run; the twin is a float64 transcription of its "
        "documented definition with the full 11x11x11 kernel.",
    ),
    "ssim-uniform7": Explanation(
        "scikit-image's `structural_similarity` as it is when no argument but the range is given: flat 7x7 window, "
        "sample covariance (49/48).",
        "as `ssim`, with a mean over 7x7 pixels",
        "Often reported as `SSIM` without a word about the window.",
    ),
    "psnr-y": Explanation(
        "PSNR of luma. ITU-R BT.601 in studio range (16 to 235), kept as a float, as BasicSR and KAIR compute it.",
        "Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255;   10 log10(255^2 / MSE(Y))",
        "1.3 to 2.5 dB higher than on RGB, because Y spans 219 values and the peak stays 255. Full-range luma (as "
        "OpenCV's grey) gives about 1.3 dB less.",
    ),
    "ssim-y": Explanation(
        "`ssim` of luma, the same luma as `psnr-y`.",
        "as `ssim`, on one channel",
        "About .02 higher than `ssim` on GOPRO.",
    ),
    "lpips-alex": _lpips("lpips-alex", "The trunk that most papers mean."),
    "lpips-vgg": _lpips("lpips-vgg", "More than twenty times the arithmetic of AlexNet: for a GPU, or few frames."),
    "lpips-squeeze": _lpips("lpips-squeeze", "The smallest file (5 MB); torchmetrics' documentation uses it."),
    "dists": Explanation(
        "How much texture (means of activations) and structure (their covariances) differ over whole frames, at the "
        "frame itself and five depths of VGG-16. Forgives texture that is resampled rather than copied. Needs VGG-16's "
        "weights, the same file as `lpips-vgg` (`deblurbench data fetch dists`), and `pip install "
        "'deblurbench[dists]'` for its own.",
        "sum over taps and channels of a (1 - (2 mx my + c) / (mx^2 + my^2 + c)) + b (1 - (2 cov + c) / (vx + vy + "
        "c)),   c = 1e-6, sum of all a and b = 1",
        "Means are over the whole frame, so where an error lies does not matter. Frames are scored as large as they "
        "are, as the packages do by default; the authors' script and piq first shrink the shorter side to 256 pixels, "
        "which gives other numbers. Covariances are centred before they are averaged, so that identical frames score "
        "exactly 0; the packages subtract products of means, which on flat frames loses digits in float32 (.03 off), "
        "so ours is held to torchmetrics' network run in float64.",
    ),
    "psnr-koehler": Explanation(
        "PSNR after the restored frame was multiplied by the factor that brings it nearest to the sharp one and "
        "shifted, to a tenth of a pixel, to where the two correlate most. For ground truth that is not registered, "
        "as Su et al. score DVD (`dvd:su30`).",
        "a = <s, r> / <r, r>;   shift = argmax of the cross-correlation of s and a r;   PSNR where both are defined",
        "Never below the plain PSNR by much, often well above it: not comparable with it. The authors' MATLAB code "
        "was not run; interpolation (bicubic here) and the border may differ in the second decimal.",
    ),
    "ssim-koehler": Explanation(
        "`ssim` after the alignment of `psnr-koehler`.",
        "as `psnr-koehler`, then `ssim`",
        "As `psnr-koehler`.",
    ),
    "psnr-ecc": Explanation(
        "PSNR as RealBlur's evaluation computes it: intensity scaling, a homography by OpenCV's ECC, and only the "
        "pixels that the warped frame covers.",
        "sum of (s - r')^2 over the mask / values in the mask, then 10 log10(255^2 / .)",
        "Where ECC does not converge, the frame is scored where it lies. Slow: about a second a frame at 1280x720.",
    ),
    "ssim-ecc": Explanation(
        "The mean of `ssim`'s map over the pixels that the warped frame of `psnr-ecc` covers.",
        "as `psnr-ecc`, then the masked mean of `ssim`'s map",
        "The window reaches across the mask's edge, as in RealBlur's evaluation.",
    ),
    "tpsnr": Explanation(
        "Does the restored clip change from frame to frame as the sharp one does? Flicker lowers it, a constant "
        "error does not.",
        "10 log10(255^2 / mean over t of MSE((r_t - r_{t-1}) - (s_t - s_{t-1})))",
        "The error is averaged over the clip before the logarithm. A clip of one frame has no value (nan).",
    ),
    "tof": Explanation(
        "The mean length of the difference between the restored and the sharp clip's optical flow, in pixels.",
        "mean over t and pixels of |flow(r_{t-1}, r_t) - flow(s_{t-1}, s_t)|",
        "TecoGAN's tOF uses Farneback's flow and a crop; this uses OpenCV's DIS, so it orders methods here and does "
        "not compare with papers.",
    ),
    "warp-error": Explanation(
        "How well each restored frame follows from its predecessor, moved along the sharp clip's flow, where "
        "nothing is hidden.",
        "mean over t and visible pixels of (r_t - warp(r_{t-1}, flow of s))^2 in [0, 1]",
        "Blur makes frames alike and lowers it: a low value alone is no merit. Ground truth itself does not score 0.",
    ),
    "vmaf": Explanation(
        "A regression, trained on people's scores of compressed video, over fidelity of information (VIF), loss of "
        "detail (ADM) and motion of luma. Computed by libvmaf inside ffmpeg: `pip install 'deblurbench[vmaf]'` brings "
        "one, `DEBLURBENCH_FFMPEG` names another; the run records which it was, and without one the column is absent.",
        "mean over frames of VMAF_t, 0 to 100; Y in BT.601 studio range, rounded to 8 bits; model vmaf_v0.6.1",
        "Made for compression seen on a television at 1080p; it was never trained on deblurring. Sharpening and "
        "contrast raise it above the ground truth's own score. A clip's first frame has no motion and scores lower; "
        "identical clips score 97.4 where nothing moves and up to 100 where something does. ffmpeg on the same PNG "
        "files gives the same to .003 (it rounds luma otherwise). There is no phone or 4K model here.",
    ),
    "sharpness": Explanation(
        "For clips without ground truth: how much fine detail a frame has.",
        "variance of the 4-neighbour Laplacian of luma",
        "Noise and ringing raise it as detail does, and it depends on the scene: compare restorations of the same "
        "frames only.",
    ),
}
