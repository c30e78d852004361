"""DeblurGAN-v2 as a method of the harness: each frame by itself."""

from __future__ import annotations

from torch import Tensor

from deblurbench.methods.base import FrameMethod, Renamed
from deblurbench.methods.layers import silence

from .adversary import Discriminator, adversarial_losses
from .backbone import Conventions
from .names import from_release
from .network import Generator

ADVERSARIAL = 1e-4
"""The paper's 0.01 stands beside a perceptual part, which is left out here: alone, the squared error is outweighed."""


class DeblurGANv2(FrameMethod):
    """The MobileNet-like generator, with plain or depthwise `separable` convolutions in the pyramid.

    `conventions: release` runs it as the authors' release does: two of three blocks of 160 channels, and batch
    normalisation by the statistics of the frame at hand.
    """

    def __init__(self, separable: bool = False, conventions: Conventions = "paper") -> None:
        self.conventions = conventions
        self.network: Generator = Generator(separable, conventions)
        self.training_only: Discriminator = Discriminator()

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) blurry to (3, H, W) restored."""
        return (self.network(2 * frame[None] - 1)[0].float() + 1) / 2

    def loss(self, blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Mean squared error + ADVERSARIAL * (generator's + discriminator's RaGAN-LS loss) of (B, T, 3, H, W).

        Both adversarial parts stand in "total", since one optimiser steps both networks; each moves its own network.
        """
        sharp = 2 * sharp.flatten(0, 1) - 1
        restored = self.network(2 * blurry.flatten(0, 1) - 1)
        content = self.content(restored / 2, sharp / 2)
        generator, discriminator = adversarial_losses(self.training_only, restored, sharp)
        total = content + ADVERSARIAL * (generator + discriminator)
        return {"total": total, "content": content, "generator": generator, "discriminator": discriminator}

    def initialise(self, identity: bool = False) -> None:
        """`identity: true` starts with a correction of zero; default: PyTorch's own start."""
        if identity:
            silence(self.network.last)

    def rename(self, foreign: dict[str, Tensor]) -> Renamed:
        """The authors' release's weights under our names (see `names.py`)."""
        return from_release(foreign, as_released=self.conventions == "release")
