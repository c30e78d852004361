"""Sharpness without ground truth: the variance of the Laplacian of luma (Pech-Pacheco et al., ICPR 2000).

It rises with detail and with noise alike, and depends on the scene: it orders restorations of the same frame and says
nothing across clips. Luma is ITU-R BT.601 full range (0.299 R + 0.587 G + 0.114 B), the Laplacian the 4-neighbour one,
the border row and column are left out.
"""

from __future__ import annotations

import numpy as np

from deblurbench.frames.convert import Frame8
from deblurbench.metrics.base import FrameFunction
from deblurbench.metrics.checks import check_pair


def load_sharpness(device: str) -> FrameFunction:
    """Variance of the Laplacian of an 8-bit RGB frame; the ground truth, if given, is not used."""

    def sharpness(restored: Frame8, sharp: Frame8 | None = None) -> float:
        frame = check_pair(restored, restored if sharp is None else sharp, 3)[0].astype(np.float64)
        luma = frame @ np.array([0.299, 0.587, 0.114])
        inner = luma[1:-1, 1:-1]
        edges = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * inner
        return float(edges.var())

    return sharpness
