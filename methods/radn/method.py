"""RADN as a method of the harness: each frame by itself."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from deblurbench.methods.base import FrameMethod
from deblurbench.methods.layers import silence

from .network import RADNNetwork


class RADN(FrameMethod):
    """RADN; see RADNNetwork for `channels`, `growth` and `layers`."""

    def __init__(self, channels: int = 32, growth: int = 16, layers: Sequence[int] = (2, 4, 4)) -> None:
        self.network: RADNNetwork = RADNNetwork(channels, growth, layers)

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) blurry to (3, H, W) restored."""
        return self.network(frame[None])[0].float()

    def loss(self, blurry: Tensor, sharp: Tensor) -> Tensor:
        """Mean squared error; every frame of (B, T, 3, H, W) is a sample."""
        return self.content(self.network(blurry.flatten(0, 1)), sharp.flatten(0, 1))

    def initialise(self, identity: bool = False) -> None:
        """`identity: true` starts with a correction of zero; default: PyTorch's own start."""
        if identity:
            silence(self.network.leave)
