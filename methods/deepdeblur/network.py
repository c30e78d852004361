"""The multi-scale network of DeepDeblur: one deep ResNet a scale, coarse to fine, each with weights of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblurbench.methods.layers import ResBlock, conv

SCALES = 3
CHANNELS = 64
BLOCKS = 19
SIGMA = 2 / 3


def scale_network(inputs: int) -> nn.Sequential:
    """A blurry frame (B, inputs, h, w) to the latent frame (B, 3, h, w) of its scale; all kernels 5x5."""
    blocks = [ResBlock(CHANNELS, 5) for _ in range(BLOCKS)]
    return nn.Sequential(conv(inputs, CHANNELS, 5), *blocks, conv(CHANNELS, 3, 5))


def upsampler() -> nn.Sequential:
    """A latent frame (B, 3, h, w) to the next finer size (B, 3, 2h, 2w)."""
    return nn.Sequential(conv(3, 12, 5), nn.PixelShuffle(2))


def gaussian_half(frame: Tensor) -> Tensor:
    """One step of the Gaussian pyramid: (B, C, H, W) to half the size.

    Gaussian of sigma 2/3 pixel (scikit-image's choice for a factor of 2), then the mean of 2x2 pixels.
    """
    taps = torch.arange(-2, 3, device=frame.device, dtype=frame.dtype)
    taps = torch.exp(-0.5 * (taps / SIGMA) ** 2)
    taps = taps / taps.sum()
    planes = frame.flatten(0, 1)[:, None]
    planes = F.conv2d(F.pad(planes, (2, 2, 2, 2), mode="replicate"), torch.outer(taps, taps)[None, None])
    return F.avg_pool2d(planes, 2).reshape(*frame.shape[:2], frame.shape[2] // 2, frame.shape[3] // 2)


def pyramid(frame: Tensor) -> list[Tensor]:
    """A frame (B, C, H, W) at 1/4, 1/2 and full size, coarse to fine."""
    levels = [frame]
    while len(levels) < SCALES:
        levels.append(gaussian_half(levels[-1]))
    return levels[::-1]


class DeepDeblurNetwork(nn.Module):
    """Figure 3 of the paper, K = 3 scales: 11,721,321 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ModuleList(scale_network(3 if k == 0 else 6) for k in range(SCALES))
        self.ups = nn.ModuleList(upsampler() for _ in range(SCALES - 1))

    def forward(self, blurry: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-0.5, 0.5] to latent frames at 1/4, 1/2 and full size, coarse to fine. 4 divides H, W."""
        coarse, *finer = pyramid(blurry)
        latents = [self.scales[0](coarse)]
        for scale, up, level in zip(list(self.scales)[1:], self.ups, finer, strict=True):
            latents.append(scale(torch.cat([level, up(latents[-1])], dim=1)))
        return latents
