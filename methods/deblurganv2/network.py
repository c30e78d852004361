"""The generator of DeblurGAN-v2: a feature pyramid whose levels are merged at a quarter of the size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import CHANNELS, Backbone, Conventions

PYRAMID = 128
HEAD = 64


def conv3(inputs: int, outputs: int, separable: bool, bias: bool = False) -> nn.Module:
    """A 3x3 convolution, or a depthwise one followed by 1x1."""
    if not separable:
        return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
    depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(inputs, outputs, 1, bias=bias))


def smoothed(inputs: int, outputs: int, separable: bool) -> nn.Sequential:
    """A 3x3 convolution, instance normalisation, ReLU."""
    return nn.Sequential(conv3(inputs, outputs, separable), nn.InstanceNorm2d(outputs), nn.ReLU())


def up(x: Tensor, factor: int) -> Tensor:
    """Nearest-neighbour enlargement."""
    return F.interpolate(x, scale_factor=float(factor), mode="nearest")


class Generator(nn.Module):
    """Backbone, pyramid of 128 channels, heads of 64, merge, and a correction added to the frame.

    Parameters: 2,426,147; with depthwise separable convolutions everywhere (`separable`) 1,505,027. With `conventions:
    release` the backbone is that of the authors' release (2,106,147).
    """

    def __init__(self, separable: bool = False, conventions: Conventions = "paper") -> None:
        super().__init__()
        finest, *others = CHANNELS
        self.backbone = Backbone(conventions)
        self.lateral_finest = nn.Conv2d(finest, HEAD, 1, bias=False)
        self.laterals = nn.ModuleList(nn.Conv2d(channels, PYRAMID, 1, bias=False) for channels in others)
        self.top_down = nn.ModuleList(smoothed(PYRAMID, PYRAMID, separable) for _ in others[:-1])
        self.heads = nn.ModuleList(
            nn.Sequential(conv3(PYRAMID, HEAD, separable), nn.ReLU(), conv3(HEAD, HEAD, separable), nn.ReLU())
            for _ in others
        )
        self.merge = smoothed(len(others) * HEAD, HEAD, separable)
        self.merge_half = smoothed(HEAD, HEAD // 2, separable)
        self.leave = conv3(HEAD // 2, 3, separable, bias=True)

    @property
    def last(self) -> nn.Module:
        """The layer that makes the correction."""
        return self.leave[-1] if isinstance(self.leave, nn.Sequential) else self.leave

    def forward(self, blurry: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] to the restored frame of the same shape and range, not clipped. 32 divides H, W."""
        finest, *features = self.backbone(blurry)
        levels = self._pyramid(features)
        heads = [up(head(level), 2**place) for place, (head, level) in enumerate(zip(self.heads, levels, strict=True))]
        quarter = self.merge(torch.cat(heads, dim=1))
        half = self.merge_half(up(quarter, 2) + self.lateral_finest(finest))
        return blurry + torch.tanh(self.leave(up(half, 2)))

    def _pyramid(self, features: list[Tensor]) -> list[Tensor]:
        """Four feature maps to levels of 128 channels, each joined to the enlarged one above it; fine to coarse."""
        sides = [lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True)]
        levels = [sides[-1]]
        for layer, side in zip(reversed(self.top_down), reversed(sides[:-1]), strict=True):
            levels.insert(0, layer(side + up(levels[0], 2)))
        return levels
