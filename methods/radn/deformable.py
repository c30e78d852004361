"""Deformable convolution (Dai et al., ICCV 2017) on torch's own grid_sample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblurbench.methods.layers import conv, silence

KERNEL = 3
TAPS = KERNEL * KERNEL


def deformable_conv(x: Tensor, offsets: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 3x3 convolution of (B, C, h, w) with `weight` (C', C, 3, 3) whose taps read moved pixels: (B, C', h, w).

    `offsets` (B, 18, h, w) are pixels that each tap is moved by, tap after tap (row by row), y before x. Positions
    between pixels are bilinear, outside the frame there are zeros: with offsets of 0 this is `conv2d` with padding 1.
    Sampling mixes no channels, so each tap's products are made first and then sampled: of C' channels, not of C.
    """
    taps = weight.permute(2, 3, 0, 1).reshape(-1, weight.shape[1], 1, 1)
    products = F.conv2d(x, taps).unflatten(1, (TAPS, -1))
    grid = positions(offsets.float().unflatten(1, (TAPS, 2)))
    # float32 whatever the precision: positions need it
    read = F.grid_sample(products.flatten(0, 1).float(), grid.flatten(0, 1), padding_mode="zeros", align_corners=False)
    summed = read.unflatten(0, (-1, TAPS)).sum(1).to(products.dtype)
    return summed + bias[:, None, None]


def positions(moved: Tensor) -> Tensor:
    """Where each tap reads, in grid_sample's units (-1 and 1 are the frame's borders).

    (B, 9, 2, h, w) in pixels from the tap's usual place, y before x, to (B, 9, h, w, 2), x before y.
    """
    height, width = moved.shape[-2:]
    reach = torch.arange(KERNEL, device=moved.device) - KERNEL // 2
    y = (
        moved[:, :, 0]
        + reach.repeat_interleave(KERNEL)[:, None, None]
        + torch.arange(height, device=moved.device)[:, None]
    )
    x = moved[:, :, 1] + reach.repeat(KERNEL)[:, None, None] + torch.arange(width, device=moved.device)
    return torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)


class DeformableConv(nn.Module):
    """A 3x3 convolution whose taps move by offsets that another 3x3 convolution reads from the same features.

    The offsets start at 0, so that it begins as an ordinary convolution.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.offsets = conv(inputs, 2 * TAPS)
        silence(self.offsets)
        self.weigh = conv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C', h, w)."""
        assert self.weigh.bias is not None
        return deformable_conv(x, self.offsets(x), self.weigh.weight, self.weigh.bias)
