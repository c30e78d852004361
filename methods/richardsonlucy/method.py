"""Richardson and Lucy: the multiplicative iteration towards the likeliest frame under Poisson noise.

W. H. Richardson, Journal of the Optical Society of America 62(1), 1972; L. B. Lucy, Astronomical Journal 79, 1974.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.fft import irfft2, rfft2
from skimage.restoration import uft

from deblurbench.methods.deconvolution import Array, LinearMotionMethod

DARKEST = 1e-3


class RichardsonLucy(LinearMotionMethod):
    """`iterations` steps; more are sharper and ring more. `motion`: see LinearMotionMethod.

    The same iteration as scikit-image's `richardson_lucy` (equal inside the frame; a test holds it to that), but with
    periodic convolutions over the tapered borders. scikit-image's take the outside as black, and each iteration
    carries that one half PSF further into the frame.
    """

    def __init__(self, iterations: int = 10, **motion: Any) -> None:
        super().__init__(**motion)
        self.iterations = iterations

    def deconvolve(self, channel: Array, psf: Array) -> Array:
        """One padded channel (H, W) and its PSF to the estimate after the last iteration, never negative."""
        blurry = np.maximum(channel, DARKEST)
        transfer = uft.ir2tf(psf, blurry.shape)
        estimate = np.full_like(blurry, 0.5)
        for _ in range(self.iterations):
            reblurred = np.maximum(_filtered(estimate, transfer), DARKEST)
            estimate = estimate * np.maximum(_filtered(blurry / reblurred, transfer.conj()), 0)
        return estimate


def _filtered(channel: Array, transfer: Array) -> Array:
    return irfft2(rfft2(channel) * transfer, s=channel.shape)
