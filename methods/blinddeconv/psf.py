"""Estimating a PSF of any shape from one blurry frame, coarse to fine, by predicted edges.

After S. Cho and S. Lee, Fast Motion Deblurring, SIGGRAPH Asia 2009 (doi 10.1145/1618452.1618491): a shock filter makes
edges of the latent frame sharp again, the PSF that best explains the blurry gradients by the strongest of these edges
is a quotient of spectra, a deconvolution with it gives the next latent frame; a few times at each size.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import center_of_mass, shift
from skimage.restoration import wiener

from deblurbench.methods.deconvolution import Array, pad_tapered

STEP = 2**-0.5
ROUNDS = 5
SMALLEST = 5
SMOOTH = 0.05
FAINT = 0.1
EDGES = 0.03


def estimate_psf(grey: Array, side: int) -> Array:
    """The PSF (side, side), non-negative, of sum 1, its centre of mass in the middle, of a grey frame (H, W) in [0, 1].

    Works at sizes that grow by the square root of 2, from the one at which the PSF has about 5 pixels a side.
    """
    sides = [side]
    while sides[-1] > SMALLEST:
        sides.append(max(SMALLEST, odd(sides[-1] * STEP)))
    latent = psf = None
    for small in reversed(sides):
        blurry = resized(grey, small / side)
        latent = blurry if latent is None else cv2.resize(latent, blurry.shape[::-1], interpolation=cv2.INTER_LINEAR)
        for turn in range(ROUNDS):
            psf = explain(blurry, predict(latent, turn), small)
            latent = deconvolved(blurry, psf)
    assert psf is not None
    return psf


def odd(number: float) -> int:
    """The nearest odd integer."""
    return 2 * round((number - 1) / 2) + 1


def resized(grey: Array, factor: float) -> Array:
    """A smaller frame, by the mean over areas."""
    if factor == 1:
        return grey
    height, width = (max(SMALLEST, round(side * factor)) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)


def predict(latent: Array, turn: int) -> tuple[Array, Array]:
    """Gradients (x, y) that the sharp frame might have: those of the shock-filtered one, where they are strongest."""
    smooth = cv2.bilateralFilter(latent.astype(np.float32), 5, 0.1, 2.0)
    dy, dx = np.gradient(smooth)
    curved = cv2.Laplacian(cv2.GaussianBlur(smooth, (0, 0), 1.0), cv2.CV_32F)
    dx, dy = gradients(smooth - np.sign(curved) * np.hypot(dx, dy))
    strength = np.hypot(dx, dy)
    keep = strength >= np.quantile(strength, 1 - EDGES * 1.2**turn)
    return dx * keep, dy * keep


def gradients(grey: Array) -> tuple[Array, Array]:
    """Differences to the next pixel along x and y, 0 at the last."""
    return np.diff(grey, axis=1, append=grey[:, -1:]), np.diff(grey, axis=0, append=grey[-1:])


def explain(blurry: Array, edges: tuple[Array, Array], side: int) -> Array:
    """The PSF with the least |edges * psf - gradients of blurry|^2 + weight |psf|^2, cleaned and centred."""
    shape = blurry.shape
    window = np.outer(*(np.minimum(1, (np.minimum(i, i[::-1]) + 0.5) / side) for i in map(np.arange, shape)))
    cross, power = 0, 0
    for edge, seen in zip(edges, gradients(blurry), strict=True):
        spectrum = rfft2(edge * window)
        cross = cross + spectrum.conj() * rfft2(seen * window)
        power = power + np.abs(spectrum) ** 2
    weight = max(SMOOTH * float(np.mean(power)), np.finfo(float).tiny)  # a flat frame has no edges
    quotient = irfft2(cross / (power + weight), s=shape)
    reach = side // 2
    return centred(np.roll(quotient, (reach, reach), axis=(0, 1))[:side, :side])


def centred(raw: Array) -> Array:
    """Without what is faint or negative, sum 1, and its centre of mass moved to the middle pixel."""
    psf = np.where(raw > FAINT * raw.max(), raw, 0.0)
    if psf.sum() <= 0:
        psf = np.zeros_like(raw)
        psf[len(raw) // 2, len(raw) // 2] = 1
    middle = (len(psf) - 1) / 2
    moved = shift(psf, [middle - at for at in center_of_mass(psf)], order=1)
    return moved / moved.sum()


def deconvolved(blurry: Array, psf: Array) -> Array:
    """A frame (H, W) deconvolved with a PSF, its borders mirrored and tapered."""
    padded, margin = pad_tapered(blurry, psf)
    return regularised(padded, psf)[margin:-margin, margin:-margin]


def regularised(channel: Array, psf: Array) -> Array:
    """The non-blind step, scikit-image's: a padded channel to the x with the least error + 0.05 |laplacian x|^2."""
    return np.asarray(wiener(channel, psf, balance=SMOOTH, clip=False))


def spread(psf: Array) -> float:
    """Root of the mean squared distance from the middle, in pixels."""
    distance = np.arange(len(psf)) - len(psf) // 2
    return float(np.sqrt((psf * np.add.outer(distance**2, distance**2)).sum()))
