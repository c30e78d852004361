"""Fourier burst accumulation: each frequency is taken from the neighbours that blurred it least.

Hand shake differs from frame to frame, and blur only ever weakens a frequency. So neighbours are registered to the
centre frame, and their spectra are averaged with weights |F_i|^p / sum_j |F_j|^p (equation 3 of the CVPR paper).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from deblurbench.methods.base import WindowMethod
from deblurbench.methods.registration import register

from .blocks import accumulate_blocks


class FourierBurst(WindowMethod):
    """Accumulates `2 * radius + 1` frames with exponent `power` in overlapping blocks of `block` pixels.

    `power` 0 is the plain mean of the registered frames, infinity takes the strongest frame at each frequency; 11 is
    the papers' choice. Registration is by DIS optical flow with a check of its consistency: see
    `deblurbench.methods.registration`.
    """

    def __init__(self, radius: int = 3, power: float = 11.0, block: int = 128) -> None:
        self.radius, self.power, self.block = radius, power, block

    def restore_window(self, frames: Tensor) -> Tensor:
        """(2 * radius + 1, 3, H, W) blurry to the accumulated centre frame (3, H, W)."""
        values = frames.detach().float().cpu().numpy().transpose(0, 2, 3, 1)
        centre = values[self.radius]
        registered = np.stack([f if i == self.radius else register(f, centre) for i, f in enumerate(values)])
        restored = accumulate_blocks(registered, self.power, self.block)
        return torch.from_numpy(restored.transpose(2, 0, 1).copy()).to(frames)
