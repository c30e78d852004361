"""The two conventions under which SRN's layers are computed: PyTorch's, and TensorFlow 1's (released weights).

They differ in where a resized pixel is read and in how a strided layer is padded, so weights trained under one do not
restore well under the other.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Conventions = Literal["torch", "tf"]


def resize(x: Tensor, height: int, width: int, conventions: Conventions) -> Tensor:
    """Bilinear resize of (B, C, h, w) to (B, C, height, width).

    `torch`: pixel centres aligned (align_corners False), no smoothing. `tf`: TensorFlow 1's `resize_images`, which
    reads output i at i * (h / height), so that halving takes every second pixel.
    """
    if x.shape[-2:] == (height, width):
        return x
    if conventions == "torch":
        return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
    return _legacy(_legacy(x, height, 2), width, 3)


def _legacy(x: Tensor, size: int, dim: int) -> Tensor:
    """Linear interpolation along `dim` at positions i * (old / size); beyond the last pixel it is repeated."""
    old = x.shape[dim]
    at = torch.arange(size, device=x.device, dtype=torch.float32) * (old / size)
    low = at.floor().long().clamp(max=old - 1)
    high = (low + 1).clamp(max=old - 1)
    share = (at - low).to(x.dtype).reshape([-1 if d == dim else 1 for d in range(x.dim())])
    return x.index_select(dim, low) * (1 - share) + x.index_select(dim, high) * share


class Down(nn.Conv2d):
    """Convolution 5x5, stride 2. `torch` pads 2 on each side; `tf` (SAME) pads 1 before and 2 after even sizes."""

    def __init__(self, inputs: int, outputs: int, conventions: Conventions) -> None:
        super().__init__(inputs, outputs, 5, stride=2, padding=2 if conventions == "torch" else 0)
        self.same = conventions == "tf"

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) with even h and w to (B, C', h / 2, w / 2)."""
        return super().forward(F.pad(x, (1, 2, 1, 2)) if self.same else x)


class Up(nn.ConvTranspose2d):
    """Transposed convolution 4x4, stride 2. SAME padding of TensorFlow crops 1 on each side, as padding 1 does here."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)
