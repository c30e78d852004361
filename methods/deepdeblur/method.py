"""DeepDeblur as a method of the harness: each frame by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from deblurbench.methods.base import FrameMethod, Renamed
from deblurbench.methods.layers import ResBlock, copy_channels, silence

from .names import from_release
from .network import DeepDeblurNetwork, pyramid

COLOURS = 3
SHIFT = 0.5


class DeepDeblur(FrameMethod):
    """The three-scale network; its output is the finest latent frame."""

    def __init__(self) -> None:
        self.network: DeepDeblurNetwork = DeepDeblurNetwork()

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) blurry to (3, H, W) restored."""
        return self.network(frame[None] - SHIFT)[-1][0].float() + SHIFT

    def loss(self, blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Equation 5 of the paper: half the mean over the scales of the mean squared error. No adversarial part.

        Every frame of (B, T, 3, H, W) is a sample. "fine" is the mean squared error at full size.
        """
        latents = self.network(blurry.flatten(0, 1) - SHIFT)
        errors = [self.content(a, b) for a, b in zip(latents, pyramid(sharp.flatten(0, 1) - SHIFT), strict=True)]
        return {"total": torch.stack(errors).mean() / 2, "fine": errors[-1]}

    def initialise(self, identity: bool = False) -> None:
        """`identity: true` writes a copy of the blurry frame into each scale's own layers; the layers stay the paper's.

        Three channels carry the frame from the first convolution to the last; the ResBlocks start as x + 0.
        """
        if not identity:
            return
        for scale in self.network.scales:
            for block in scale[1:-1]:
                assert isinstance(block, ResBlock)
                silence(block.second)
            copy_channels(scale[0], COLOURS)
            copy_channels(scale[-1], COLOURS)

    def rename(self, foreign: dict[str, Tensor]) -> Renamed:
        """The authors' release's weights under our names and for our range (see `names.py`)."""
        return from_release(foreign)
