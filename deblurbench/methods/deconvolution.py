"""What the classical deconvolutions share: a linear motion PSF, its estimate from a blurry frame, and tapered borders.

Model (section 2.1 of any textbook on restoration): blurry = sharp * h, with one straight, uniform motion h for the
whole frame. A moving camera's real blur varies over the frame and bends, so these methods stand here as the baseline
that they are. Angles are degrees counter-clockwise from the x axis, in [0, 180); lengths are pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deblurbench.errors import UsageError
from deblurbench.methods.base import FrameMethod

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.floating]
ANGLES = np.arange(0.0, 180.0, 3.0)
SHORTEST = 3.0
SMOOTHING = 1.0


class Motion(NamedTuple):
    """A straight motion during the exposure: pixels, degrees, and how clearly it shows (0 not at all, 0.5 ideal)."""

    length: float
    angle: float
    clarity: float = 0.5


UNKNOWN = Motion(1.0, 0.0, 0.0)


def linear_motion_psf(length: float, angle: float) -> Array:
    """PSF of a uniform straight motion: (k, k) float64, k odd, sum 1, symmetric about its centre.

    A segment of `length` pixels, sampled ten times a pixel and shared bilinearly among the four pixels around each
    sample.

    Raises:
        UsageError: the length is not positive.
    """
    if not length > 0:
        raise UsageError(f"a motion of {length} pixels is none: `length` must be above 0")
    radius = int(np.ceil(length / 2))
    psf = np.zeros((2 * radius + 3, 2 * radius + 3))
    along = np.linspace(-0.5, 0.5, int(10 * length) | 1) * length
    x = radius + 1 + along * np.cos(np.deg2rad(angle))
    y = radius + 1 - along * np.sin(np.deg2rad(angle))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            share = (1 - np.abs(y - top - down)) * (1 - np.abs(x - left - right))
            np.add.at(psf, (top + down, left + right), share)
    return psf / psf.sum()


def estimate_motion(grey: Array, longest: float = 35.0) -> Motion:
    """The straight motion that best explains the blur of a grey frame (H, W).

    After Yitzhaky and Kopeika (1997, doi 10.1006/gmip.1997.0435): whitened along its motion, a frame that was averaged
    over `length` pixels looks like the difference of two copies that far apart, so its autocorrelation has a negative
    peak (ideally -0.5 of the value at 0) there. Theirs fixes the direction first; here direction (every 3 degrees) and
    length (every half pixel from 3 to `longest` or half the shorter side) are searched together. The spectrum is
    whitened by |omega|^2 (natural frames fall off like its inverse) and smoothed by a Gaussian of 1 pixel against
    noise. A sharp frame's autocorrelation falls below 0 at the shortest lags already, in all directions: so only local
    minima count, and clarity is how far one lies below the median of all directions.
    """
    lengths = np.arange(SHORTEST, min(longest, min(grey.shape) / 2 - 1) + 0.5, 0.5)
    if len(lengths) < 3 or np.ptp(grey) == 0:
        return UNKNOWN
    tensor = _autocorrelations(grey)
    curves = np.stack([_along(tensor, angle, lengths) for angle in ANGLES])
    middle = curves[:, 1:-1]
    below = np.minimum(middle, 0) - np.minimum(np.median(middle, axis=0), 0)
    valleys = np.where((middle < curves[:, :-2]) & (middle < curves[:, 2:]), below, 0.0)
    row, column = np.unravel_index(np.argmin(valleys), valleys.shape)
    return Motion(float(lengths[column + 1]), float(ANGLES[row]), float(-valleys[row, column]))


def _autocorrelations(grey: Array) -> tuple[Array, Array, Array]:
    """Autocorrelations of the whitened frame's derivatives: xx, xy, yy, each (H, W) with lag 0 at [0, 0]."""
    height, width = grey.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    spectrum = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    wy = 2 * np.pi * np.fft.fftfreq(height)[:, None]
    wx = 2 * np.pi * np.fft.rfftfreq(width)[None, :]
    square = wx**2 + wy**2
    white = spectrum * square * np.exp(-(SMOOTHING**2) * square)
    xx, xy, yy = (np.fft.irfft2(white * weight, s=grey.shape) for weight in (wx**2, wx * wy, wy**2))
    return xx, xy, yy


def _along(tensor: tuple[Array, Array, Array], angle: float, lengths: Array) -> Array:
    """Autocorrelation of the derivative along `angle` at each length, divided by its value at 0."""
    from scipy.ndimage import map_coordinates

    cos, sin = np.cos(np.deg2rad(angle)), -np.sin(np.deg2rad(angle))
    lags = np.concatenate([[0.0], lengths])
    where = np.stack([lags * sin, lags * cos])
    xx, xy, yy = (map_coordinates(part, where, order=1, mode="grid-wrap") for part in tensor)
    along = cos * cos * xx + 2 * cos * sin * xy + sin * sin * yy
    return along[1:] / max(along[0], np.finfo(float).tiny)


def pad_tapered(channel: Array, psf: Array) -> tuple[Array, int]:
    """Mirror a channel (H, W) outwards by the PSF's side, and blend the outside into its periodic blur.

    A Fourier deconvolution treats the frame as periodic; a step between opposite borders would ring through the whole
    frame. Inside the mirrored margin the frame itself is untouched. Returns the padded channel and the margin.
    """
    margin = len(psf)
    padded = np.pad(channel, margin, mode="symmetric")
    ramps = [np.minimum(1.0, (np.minimum(i, i[::-1]) + 0.5) / margin) for i in map(np.arange, padded.shape)]
    keep = np.outer(*ramps)
    return keep * padded + (1 - keep) * _circular_blur(padded, psf), margin


def _circular_blur(channel: Array, psf: Array) -> Array:
    kernel = np.zeros_like(channel)
    kernel[: len(psf), : len(psf)] = psf
    kernel = np.roll(kernel, (-(len(psf) // 2), -(len(psf) // 2)), axis=(0, 1))
    return np.fft.irfft2(np.fft.rfft2(channel) * np.fft.rfft2(kernel), s=channel.shape)


class DeconvolutionMethod(FrameMethod):
    """Base of all deconvolutions: one PSF for a frame, which `psf` gives and `deconvolve` undoes, channel by channel.

    On the CPU, in the domain where value = intensity^(1/gamma), over mirrored and tapered borders.
    """

    def __init__(self, gamma: float = 1.0) -> None:
        self.gamma = gamma

    def psf(self, frame: Array) -> Array | None:
        """The PSF (k, k), k odd, of a frame (3, H, W); None where none can be trusted, and the frame stays as it is."""
        raise NotImplementedError

    def deconvolve(self, channel: Array, psf: Array) -> Array:
        """One padded channel (H, W), non-negative, and its PSF (k, k) to the restored channel of the same shape."""
        raise NotImplementedError

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) blurry to (3, H, W) deconvolved, or the frame itself where no PSF is found."""
        import torch

        values = frame.detach().double().cpu().numpy() ** self.gamma
        psf = self.psf(values)
        if psf is None:
            return frame
        restored = np.stack([self._channel(channel, psf) for channel in values])
        restored = np.sign(restored) * np.abs(restored) ** (1 / self.gamma)
        return torch.from_numpy(restored).to(frame)

    def _channel(self, channel: Array, psf: Array) -> Array:
        padded, margin = pad_tapered(channel, psf)
        return self.deconvolve(padded, psf)[margin:-margin, margin:-margin]


def refuse_longer(length: float, frame: Array, parameter: str, otherwise: str) -> None:
    """Refuse a PSF of `length` pixels that is longer than the shorter side of a frame (3, H, W).

    Raises:
        UsageError: with the `parameter` to lower, or what to do `otherwise`.
    """
    side = min(frame.shape[1:])
    if length > side:
        raise UsageError(
            f"a PSF of {length:g} pixels is longer than the frame ({frame.shape[2]}x{frame.shape[1]}): "
            f"set `{parameter}` in the variant's parameters to at most {side}, or {otherwise}"
        )


class LinearMotionMethod(DeconvolutionMethod):
    """A deconvolution whose PSF is given by `length` and `angle`, or estimated anew for each frame.

    An estimate whose clarity is below `least_clarity` is not trusted: the frame comes back as it was.
    """

    def __init__(
        self,
        length: float | None = None,
        angle: float | None = None,
        longest: float = 35.0,
        least_clarity: float = 0.2,
        gamma: float = 1.0,
    ) -> None:
        super().__init__(gamma)
        if (length is None) != (angle is None):
            raise UsageError("a linear motion is given by both `length` and `angle`, or by neither to estimate it")
        self.given = None if length is None or angle is None else Motion(length, angle)
        self.longest, self.least_clarity = longest, least_clarity

    def motion(self, frame: Array) -> Motion:
        """The motion given, or the one estimated from a frame (3, H, W).

        Raises:
            UsageError: the motion given is longer than the frame's shorter side.
        """
        if self.given is None:
            return estimate_motion(frame.mean(axis=0), self.longest)
        refuse_longer(self.given.length, frame, "length", "leave it out to estimate it")
        return self.given

    def psf(self, frame: Array) -> Array | None:
        """The PSF of the motion; None where it does not show clearly enough."""
        motion = self.motion(frame)
        return linear_motion_psf(motion.length, motion.angle) if motion.clarity >= self.least_clarity else None
