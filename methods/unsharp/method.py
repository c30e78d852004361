"""Unsharp masking: add what a Gaussian blur takes away. It sharpens edges and knows nothing of motion."""

from __future__ import annotations

import torch
from skimage.filters import unsharp_mask
from torch import Tensor

from deblurbench.methods.base import FrameMethod


class Unsharp(FrameMethod):
    """frame + amount * (frame - Gaussian(frame)), per channel; `radius` is the Gaussian's sigma in pixels."""

    def __init__(self, radius: float = 1.0, amount: float = 0.5) -> None:
        self.radius, self.amount = radius, amount

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) blurry to (3, H, W) sharpened; borders are mirrored."""
        values = frame.detach().float().cpu().numpy()
        sharpened = unsharp_mask(values, self.radius, self.amount, preserve_range=True, channel_axis=0)
        return torch.from_numpy(sharpened).to(frame)
