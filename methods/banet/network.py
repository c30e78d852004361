"""An asymmetric U-Net with blur-aware modules at a quarter of the size.

A module finds where and along which axis a frame is blurred (multi-kernel strip pooling, refined by a local attention)
and restores with dilated convolutions of several rates. How these are wired in detail is ours; see the card.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblurbench.methods.layers import ResBlock, conv, up4

KERNELS = (1, 3, 5, 7)
RATES = (1, 3, 5)


class StripPooling(nn.Module):
    """Means over vertical and horizontal strips of one width, each followed by a convolution along the strips."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.along_x = nn.Conv2d(inputs, outputs, (1, 3), padding=(0, 1))
        self.along_y = nn.Conv2d(inputs, outputs, (3, 1), padding=(1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C', h, w): the sum of what the vertical and the horizontal strips through a pixel say."""
        reach = self.width // 2
        columns = F.avg_pool2d(x.mean(2, keepdim=True), (1, self.width), 1, (0, reach), count_include_pad=False)
        rows = F.avg_pool2d(x.mean(3, keepdim=True), (self.width, 1), 1, (reach, 0), count_include_pad=False)
        return self.along_x(columns) + self.along_y(rows)


class BlurAttention(nn.Module):
    """Multi-kernel strip pooling (strips of 1, 3, 5 and 7 pixels) to a coarse mask, then a local one (refinement)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.strips = nn.ModuleList(StripPooling(channels, channels // len(KERNELS), width) for width in KERNELS)
        self.mix = conv(channels, channels, 1)
        self.refine = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to x under both masks, of the same shape."""
        coarse = torch.relu(torch.cat([strip(x) for strip in self.strips], dim=1))
        attended = x * torch.sigmoid(self.mix(coarse))
        return attended * torch.sigmoid(self.refine(attended))


class ParallelDilated(nn.Module):
    """3x3 convolutions of rates 1, 3 and 5 side by side, joined by another."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branches = nn.ModuleList(nn.Conv2d(channels, half, 3, padding=rate, dilation=rate) for rate in RATES)
        self.join = conv(len(RATES) * half, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return self.join(torch.relu(torch.cat([branch(x) for branch in self.branches], dim=1)))


class BlurAwareModule(nn.Module):
    """x + two cascaded blocks of parallel dilated convolutions of the attended x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = BlurAttention(channels)
        self.first = ParallelDilated(channels)
        self.second = ParallelDilated(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return x + self.second(torch.relu(self.first(self.attention(x))))


class BANetNetwork(nn.Module):
    """`modules` blur-aware modules of `channels` channels at 1/4 of the size; the encoder is heavier than the decoder.

    Parameters: 1,311,203 (64 channels, 4 modules), 12,125,891 (128, 10).
    """

    def __init__(self, channels: int, modules: int) -> None:
        super().__init__()
        full, half = channels // 4, channels // 2
        self.enter = nn.Sequential(conv(3, full), nn.ReLU(), ResBlock(full))
        self.down2 = nn.Sequential(conv(full, half, stride=2), nn.ReLU(), ResBlock(half))
        self.down4 = nn.Sequential(conv(half, channels, stride=2), nn.ReLU(), ResBlock(channels))
        self.middle = nn.Sequential(*(BlurAwareModule(channels) for _ in range(modules)))
        self.up2 = up4(channels, half)
        self.up1 = up4(half, full)
        self.leave = conv(full, 3)

    def forward(self, blurry: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to the restored frame of the same shape. 4 divides H and W."""
        e1 = self.enter(blurry)
        e2 = self.down2(e1)
        d2 = torch.relu(self.up2(self.middle(self.down4(e2)))) + e2
        return blurry + self.leave(torch.relu(self.up1(d2)) + e1)
