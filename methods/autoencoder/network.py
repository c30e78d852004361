"""A convolutional auto-encoder: 3 -> 32 -> 64 -> 128 channels at 1, 1/2 and 1/4 of the size, and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deblurbench.methods.layers import conv, up4


class AutoEncoder(nn.Module):
    """Encoder and decoder of 3x3 convolutions, with (U-Net like) or without skips between them.

    With `skips`, the encoder's features are concatenated in the decoder and the output is added to the frame; without,
    the whole frame passes through the bottleneck.
    """

    def __init__(self, skips: bool = True) -> None:
        super().__init__()
        self.skips = skips
        wide = 2 if skips else 1
        self.enter = conv(3, 32)
        self.down64 = conv(32, 64, stride=2)
        self.down128 = conv(64, 128, stride=2)
        self.middle = conv(128, 128)
        self.up64 = up4(128, 64)
        self.join64 = conv(wide * 64, 64)
        self.up32 = up4(64, 32)
        self.join32 = conv(wide * 32, 32)
        self.leave = conv(32, 3)

    def forward(self, blurry: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to the restored frame of the same shape. 4 divides H and W."""
        e32 = torch.relu(self.enter(blurry))
        e64 = torch.relu(self.down64(e32))
        code = torch.relu(self.middle(torch.relu(self.down128(e64))))
        d64 = torch.relu(self.join64(self._joined(torch.relu(self.up64(code)), e64)))
        d32 = torch.relu(self.join32(self._joined(torch.relu(self.up32(d64)), e32)))
        restored = self.leave(d32)
        return blurry + restored if self.skips else restored

    def _joined(self, decoded: Tensor, encoded: Tensor) -> Tensor:
        return torch.cat([decoded, encoded], dim=1) if self.skips else decoded
