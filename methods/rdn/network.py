"""RDN: one encoder-decoder, applied again and again to the estimate and the next frame of the past.

After the authors' single-scale release: every convolution follows a ReLU and is followed by batch normalisation with
the batch's own statistics, in training and at inference alike. Green (temporal) skips carry features to the next step.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblurbench.methods.layers import conv, up4

Skips = tuple[Tensor, Tensor, Tensor]
Conventions = Literal["torch", "tf"]


def step(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution, batch normalisation."""
    return nn.Sequential(nn.ReLU(), conv(inputs, outputs, kernel, stride), _norm(outputs))


class SameDown(nn.Conv2d):
    """Convolution 3x3, stride 2, as TensorFlow pads it (SAME): even sides get one row and column, behind them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) with even h and w to (B, C', h / 2, w / 2)."""
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def down(inputs: int, outputs: int, conventions: Conventions) -> nn.Sequential:
    """A step to half the size."""
    if conventions == "tf":
        return nn.Sequential(nn.ReLU(), SameDown(inputs, outputs), _norm(outputs))
    return step(inputs, outputs, stride=2)


def up(inputs: int, outputs: int) -> nn.Sequential:
    """ReLU, transposed convolution to twice the size, batch normalisation."""
    return nn.Sequential(nn.ReLU(), up4(inputs, outputs), _norm(outputs))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, track_running_stats=False)


def three(channels: int, last_kernel: int) -> nn.Sequential:
    """Two 3x3 steps and one of `last_kernel`: the inside of a block."""
    return nn.Sequential(step(channels, channels), step(channels, channels), step(channels, channels, last_kernel))


class Merge(nn.Module):
    """Features joined with those of the step before, by a 1x1 step; unchanged in the first step."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = step(2 * channels, channels, 1)

    def forward(self, x: Tensor, before: Tensor | None) -> Tensor:
        """Two (B, C, h, w), or one and None, to (B, C, h, w)."""
        return x if before is None else self.join(torch.cat([x, before], dim=1))


class RDNNetwork(nn.Module):
    """The deblurring block of figure 4, run once for each observation."""

    def __init__(self, conventions: Conventions = "torch") -> None:
        super().__init__()
        self.enter = step(6, 32)
        self.down1, self.block1 = down(32, 64, conventions), three(64, 1)
        self.same2, self.block2 = step(64, 64), three(64, 1)
        self.down3, self.block3 = down(64, 128, conventions), three(128, 1)
        self.down4, self.merge4, self.block4 = down(128, 256, conventions), Merge(256), three(256, 1)
        self.up5, self.merge5, self.block5 = up(256, 128), Merge(128), three(128, 3)
        self.up6, self.merge6, self.block6 = up(128, 64), Merge(64), three(64, 3)
        self.leave = nn.Sequential(up(64, 64), step(64, 64), step(64, 64), step(64, 6), step(6, 3))

    def forward(self, observation: Tensor, estimate: Tensor, skips: Skips | None) -> tuple[Tensor, Skips]:
        """A past frame, the estimate so far, both (B, 3, H, W) in [-1, 1], and the last step's features.

        Returns the better estimate and this step's features. 8 divides H and W.
        """
        past = skips or (None, None, None)
        x = self.down1(self.enter(torch.cat([observation, estimate], dim=1)))
        x = self.same2(x + self.block1(x))
        half = x + self.block2(x)
        x = self.down3(half)
        quarter = x + self.block3(x)
        x = self.down4(quarter)
        eighth = x + self.block4(self.merge4(x, past[0]))
        x = self.up5(eighth) + quarter
        low = x + self.block5(self.merge5(x, past[1]))
        x = self.up6(low) + half
        high = x + self.block6(self.merge6(x, past[2]))
        return estimate + self.leave(high), (eighth, low, high)
