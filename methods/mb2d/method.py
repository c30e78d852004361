"""MB2D as a method of the harness: each frame by itself; training learns longer exposures from the neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from deblurbench.methods.base import FrameMethod
from deblurbench.methods.layers import clip_windows, silence

from .network import MB2DNetwork, resized

BLUR_WEIGHT = 0.1


class MB2D(FrameMethod):
    """Blurs the frame more, then deblurs it."""

    def __init__(self) -> None:
        self.network: MB2DNetwork = MB2DNetwork()

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) blurry to (3, H, W) restored."""
        return self.network(frame[None])[0][-1][0].float()

    def loss(self, blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Of (B, T, 3, H, W): squared error at the three scales ("sharp") + 0.1 * the longer exposures' ("blur").

        "fine" is the full size's share of "sharp".
        """
        predictions, longer = self.network(blurry.flatten(0, 1))
        errors = [self.content(p, resized(sharp.flatten(0, 1), p)) for p in predictions]
        more = [self.content(frame, exposure(blurry, radius)) for radius, frame in enumerate(longer, start=1)]
        restored, blurred = torch.stack(errors).sum(), torch.stack(more).sum()
        return {"total": restored + BLUR_WEIGHT * blurred, "sharp": restored, "fine": errors[-1], "blur": blurred}

    def initialise(self, identity: bool = False) -> None:
        """`identity: true` starts with corrections of zero; default: PyTorch's own start."""
        if identity:
            silence(self.network.deblur.leave)
            silence(self.network.blur_more.leave)


def exposure(blurry: Tensor, radius: int) -> Tensor:
    """Clips (B, T, 3, H, W) to every frame's mean with `radius` neighbours on each side, (B * T, 3, H, W)."""
    return clip_windows(blurry, radius).mean(dim=1)
