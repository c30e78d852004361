"""Two parts: one predicts how the frame would look blurred more, the other deblurs coarse to fine from these frames.

The idea and the order (more blurred frames first, results of lower scales reused at higher ones, recurrent modules) are
the paper's; all layers are ours.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblurbench.methods.layers import ResBlock, conv, up4

SCALES = (4, 2, 1)
LEVELS = len(SCALES) - 1
BLOCKS = 4


class BlurMore(nn.Module):
    """The frame to LEVELS frames of ever longer exposure, the first the least blurred."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = conv(3, 32)
        self.down = conv(32, 64, stride=2)
        self.middle = nn.Sequential(ResBlock(64), ResBlock(64))
        self.up = up4(64, 32)
        self.leave = conv(32, 3 * LEVELS)

    def forward(self, blurry: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to LEVELS frames of the same shape. 2 divides H and W."""
        e = torch.relu(self.enter(blurry))
        d = torch.relu(self.up(self.middle(torch.relu(self.down(e)))) + e)
        return [blurry + change for change in self.leave(d).chunk(LEVELS, dim=1)]


class Deblur(nn.Module):
    """One scale: a more blurred frame, the frame and the prediction from below to a prediction; carries a state."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(conv(9, 32), nn.ReLU(), ResBlock(32))
        self.down = conv(32, 64, stride=2)
        self.join = conv(128, 64)
        self.middle = nn.Sequential(*(ResBlock(64) for _ in range(BLOCKS)))
        self.remember = conv(64, 64)
        self.up = up4(64, 32)
        self.leave = conv(32, 3)

    def forward(self, more: Tensor, blurry: Tensor, below: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Three frames (B, 3, h, w) and the state of the scale below to the prediction and the state (B, 64, ..)."""
        e = self.enter(torch.cat([more, blurry, below], dim=1))
        half = torch.relu(self.down(e))
        state = torch.zeros_like(half) if state is None else resized(state, half)
        features = self.middle(torch.relu(self.join(torch.cat([half, state], dim=1))))
        restored = blurry + self.leave(torch.relu(self.up(features)) + e)
        return restored, torch.tanh(self.remember(features))


class MB2DNetwork(nn.Module):
    """BlurMore, then Deblur with shared weights at 1/4, 1/2 and full size. Parameters: 681,065."""

    def __init__(self) -> None:
        super().__init__()
        self.blur_more = BlurMore()
        self.deblur = Deblur()

    def forward(self, blurry: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B, 3, H, W) in [0, 1] to the predictions, coarse to fine, and the more blurred frames. 8 divides H, W.

        1/4 of the size starts from the most blurred frame, full size from the frame itself.
        """
        height, width = blurry.shape[-2:]
        longer = self.blur_more(blurry)
        predictions: list[Tensor] = []
        state: Tensor | None = None
        for scale, more in zip(SCALES, [*reversed(longer), blurry], strict=True):
            size = (height // scale, width // scale)
            here, given = resized_to(more, size), resized_to(blurry, size)
            below = resized_to(predictions[-1], size) if predictions else given
            prediction, state = self.deblur(here, given, below.to(given.dtype), state)
            predictions.append(prediction)
        return predictions, longer


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear resize to the height and width of `like`."""
    return resized_to(x, (like.shape[-2], like.shape[-1]))


def resized_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize (pixel centres aligned, no smoothing) to (height, width)."""
    return x if x.shape[-2:] == size else F.interpolate(x, size=size, mode="bilinear", align_corners=False)
