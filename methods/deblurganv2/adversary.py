"""The double-scale discriminator and its relativistic least-squares loss (RaGAN-LS, section 3.2 of the paper).

It lives in training only. One optimiser steps generator and discriminator together: `adversarial_losses` gives two
losses of which each moves one of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAK = 0.2


def critic(strides: int) -> nn.Sequential:
    """`strides` convolutions 4x4 of stride 2, from 32 channels to at most 256, and one 3x3 to scores."""
    layers: list[nn.Module] = []
    inputs = 3
    for place in range(strides):
        outputs = min(32 * 2**place, 256)
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(LEAK)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Conv2d(inputs, 1, 3, padding=1))


class Discriminator(nn.Module):
    """Scores of small patches (1/8 of the size) and of large ones (1/32); widths, and no normalisation, are ours."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = critic(3)
        self.whole = critic(5)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, 3, H, W) in [-1, 1] to scores (B, 1, H/8, W/8) and (B, 1, H/32, W/32)."""
        return self.patches(frames), self.whole(frames)


def adversarial_losses(discriminator: Discriminator, restored: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor]:
    """The generator's and the discriminator's loss for frames (B, 3, H, W) in [-1, 1], each the mean of both scales.

    No gradient of the first reaches the discriminator, none of the second the generator.
    """
    fixed = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
    real = torch.func.functional_call(discriminator, fixed, (sharp,))
    fake = torch.func.functional_call(discriminator, fixed, (restored,))
    generator = _relativistic(fake, real)
    return generator, _relativistic(discriminator(sharp), discriminator(restored.detach()))


def _relativistic(better: tuple[Tensor, ...], worse: tuple[Tensor, ...]) -> Tensor:
    """Mean of (D(b) - E D(w) - 1)^2 + (D(w) - E D(b) + 1)^2: least where `better` scores one more than `worse`."""
    parts = []
    for b, w in zip(better, worse, strict=True):
        b, w = b.float(), w.float()
        parts.append((b - w.mean() - 1).square().mean() + (w - b.mean() + 1).square().mean())
    return torch.stack(parts).mean()
