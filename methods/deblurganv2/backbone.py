"""A backbone of inverted residuals as in MobileNetV2 (Sandler et al., CVPR 2018), written anew and not pretrained."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

# Stages of the pyramid: (expansion, channels, blocks, stride of the first block). The sixth setting of MobileNetV2
# (160 channels) ends the last stage; its 320 channels and the classifier are left out.
STAGES = (
    ((1, 16, 1, 1),),
    ((6, 24, 2, 2),),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2),),
    ((6, 96, 3, 1), (6, 160, 3, 2)),
)
CHANNELS = tuple(stage[-1][1] for stage in STAGES)
RELEASED_STAGES = (*STAGES[:-1], ((6, 96, 3, 1), (6, 160, 2, 2)))
"""The authors' release takes the first 16 of the backbone's modules, and so two of three blocks of 160 channels."""
Conventions = Literal["paper", "release"]


class FrameNorm(nn.BatchNorm2d):
    """Batch normalisation by the statistics of the frames at hand, at inference too, as in the authors' release."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)


def normalised(layer: nn.Conv2d, conventions: Conventions, active: bool = True) -> list[nn.Module]:
    """A convolution with batch normalisation, and ReLU6 where it is `active`."""
    norm = FrameNorm if conventions == "release" else nn.BatchNorm2d
    return [layer, norm(layer.out_channels), *([nn.ReLU6()] if active else [])]


class InvertedResidual(nn.Module):
    """1x1 to `expansion` times the channels, depthwise 3x3, 1x1 back without activation; + x where the shape stays."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, conventions: Conventions) -> None:
        super().__init__()
        wide = expansion * inputs
        expand = normalised(nn.Conv2d(inputs, wide, 1, bias=False), conventions) if expansion > 1 else []
        depthwise = normalised(nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), conventions)
        project = normalised(nn.Conv2d(wide, outputs, 1, bias=False), conventions, active=False)
        self.layers = nn.Sequential(*expand, *depthwise, *project)
        self.keeps_shape = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C', h / stride, w / stride)."""
        return x + self.layers(x) if self.keeps_shape else self.layers(x)


class Backbone(nn.Module):
    """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size, with 16, 24, 32, 64 and 160 channels."""

    def __init__(self, conventions: Conventions = "paper") -> None:
        super().__init__()
        self.enter = nn.Sequential(*normalised(nn.Conv2d(3, 32, 3, 2, 1, bias=False), conventions))
        inputs, stages = 32, []
        for settings in RELEASED_STAGES if conventions == "release" else STAGES:
            blocks: list[nn.Module] = []
            for expansion, outputs, count, stride in settings:
                for place in range(count):
                    first = stride if place == 0 else 1
                    blocks.append(InvertedResidual(inputs, outputs, expansion, first, conventions))
                    inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] to five feature maps, fine to coarse. 32 divides H and W."""
        features = []
        x = self.enter(x)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
