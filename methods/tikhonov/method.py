"""Tikhonov's regularised inverse: the x with the least |h * x - blurry|^2 + strength |laplacian x|^2.

A. N. Tikhonov and V. Y. Arsenin, Solutions of Ill-Posed Problems, Winston, 1977.
"""

from __future__ import annotations

from typing import Any

from skimage.restoration import wiener

from deblurbench.methods.deconvolution import Array, LinearMotionMethod


class Tikhonov(LinearMotionMethod):
    """`strength` weighs smoothness against fidelity. `motion`: see LinearMotionMethod.

    In closed form conj(H) / (|H|^2 + strength |L|^2), L the Laplacian: scikit-image's `wiener` with its default
    regularisation.
    """

    def __init__(self, strength: float = 0.2, **motion: Any) -> None:
        super().__init__(**motion)
        self.strength = strength

    def deconvolve(self, channel: Array, psf: Array) -> Array:
        """One padded channel (H, W) and its PSF to the restored channel."""
        return wiener(channel, psf, balance=self.strength, clip=False)
