"""Wiener's filter: conj(H) / (|H|^2 + 1/SNR), with a signal-to-noise ratio that is the same at every frequency.

N. Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series, MIT Press, 1949.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.restoration import wiener

from deblurbench.methods.deconvolution import Array, LinearMotionMethod

FLAT = np.ones((1, 1))


class Wiener(LinearMotionMethod):
    """`snr` is the ratio of the signal's power to the noise's; lower is smoother. `motion`: see LinearMotionMethod.

    The filter weakens a constant by 1 / (1 + 1/SNR), which would darken the frame: that factor is given back.
    """

    def __init__(self, snr: float = 20.0, **motion: Any) -> None:
        super().__init__(**motion)
        self.noise = 1 / snr

    def deconvolve(self, channel: Array, psf: Array) -> Array:
        """One padded channel (H, W) and its PSF to the filtered channel."""
        return (1 + self.noise) * wiener(channel, psf, balance=self.noise, reg=FLAT, clip=False)
