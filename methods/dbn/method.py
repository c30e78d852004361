"""DBN as a method of the harness: five frames in, the centre one restored."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from deblurbench.methods.base import WindowMethod
from deblurbench.methods.layers import clip_windows, silence
from deblurbench.methods.registration import register

from .network import FRAMES, DBNNetwork


class DBN(WindowMethod):
    """DBN without alignment, or with the neighbours registered by optical flow first (`align`: DBN+OF).

    `sigmoid: false` leaves out the last Sigmoid, so that centre frame + correction is the output itself.
    """

    radius = FRAMES // 2

    def __init__(self, align: bool = False, sigmoid: bool = True) -> None:
        self.align = align
        self.network: DBNNetwork = DBNNetwork(sigmoid)

    def restore_window(self, frames: Tensor) -> Tensor:
        """(5, 3, H, W) blurry to the restored centre frame (3, H, W)."""
        return self.network(self._aligned(frames[None]))[0].float()

    def loss(self, blurry: Tensor, sharp: Tensor) -> Tensor:
        """Mean squared error over all frames of (B, T, 3, H, W); clip ends are repeated as at inference."""
        windows = self._aligned(clip_windows(blurry, self.radius))
        return self.content(self.network(windows), sharp.flatten(0, 1))

    def initialise(self, identity: bool = False) -> None:
        """`identity: true` starts with a correction of zero; under the Sigmoid that is a pale copy of the frame."""
        if identity:
            silence(self.network.F6[-1])

    def _aligned(self, windows: Tensor) -> Tensor:
        """(B, 5, 3, H, W) with each neighbour registered to its centre frame, where that is asked for."""
        return torch.stack([register_window(window) for window in windows]) if self.align else windows


def register_window(window: Tensor) -> Tensor:
    """(5, 3, H, W) to the same with all frames warped onto the centre one, by OpenCV on the CPU."""
    frames = window.detach().float().cpu().numpy().transpose(0, 2, 3, 1)
    centre = frames[len(frames) // 2]
    registered = np.stack([register(frame, centre) for frame in frames])
    return torch.from_numpy(registered.transpose(0, 3, 1, 2).copy()).to(window)
