"""Richardson and Lucy: the multiplicative iteration towards the likeliest frame under Poisson noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.restoration import richardson_lucy

from deblurbench.methods.deconvolution import Array, LinearMotionMethod

DARKEST = 1e-3


class RichardsonLucy(LinearMotionMethod):
    """`iterations` steps; more are sharper and ring more. `motion`: see LinearMotionMethod."""

    def __init__(self, iterations: int = 10, **motion: Any) -> None:
        super().__init__(**motion)
        self.iterations = iterations

    def deconvolve(self, channel: Array, psf: Array) -> Array:
        """One padded channel (H, W) and its PSF to the estimate after the last iteration, never negative."""
        channel = np.maximum(channel, DARKEST).astype(np.float32)
        return richardson_lucy(channel, psf.astype(np.float32), self.iterations, clip=False, filter_epsilon=DARKEST)
