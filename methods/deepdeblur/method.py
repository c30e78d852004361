"""DeepDeblur as a method of the harness: each frame by itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deblurbench.methods.base import FrameMethod
from deblurbench.methods.layers import ResBlock, mean_squared_error

from .network import DeepDeblurNetwork, pyramid

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
        errors = [mean_squared_error(a, b) for a, b in zip(latents, pyramid(sharp.flatten(0, 1) - SHIFT), strict=True)]
        return {"total": torch.stack(errors).mean() / 2, "fine": errors[-1]}

    @torch.no_grad()
    def initialise(self, identity: bool = False) -> None:
        """`identity: true` writes a copy of the blurry frame into each scale's own layers; the layers stay the paper's.

        Three channels carry the frame from the first convolution to the last; the ResBlocks start as x + 0.
        """
        if not identity:
            return
        for scale in self.network.scales:
            for block in scale[1:-1]:
                assert isinstance(block, ResBlock)
                nn.init.zeros_(block.second.weight)
                nn.init.zeros_(block.second.bias)
            _copy_first_three(scale[0])
            _copy_first_three(scale[-1])


def _copy_first_three(layer: nn.Conv2d) -> None:
    """Let outputs 0..2 be inputs 0..2 and read nothing else; the other outputs keep their start."""
    layer.weight[:3] = 0
    layer.bias[:3] = 0
    for colour in range(3):
        layer.weight[colour, colour, 2, 2] = 1
