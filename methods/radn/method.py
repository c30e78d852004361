"""RADN as a method of the harness: each frame by itself."""

from __future__ import annotations

from collections.abc import Sequence

from deblurbench.methods.image import ImageNetworkMethod

from .network import RADNNetwork


class RADN(ImageNetworkMethod):
    """RADN; see RADNNetwork for `channels`, `growth` and `layers`."""

    def __init__(self, channels: int = 32, growth: int = 16, layers: Sequence[int] = (2, 4, 4)) -> None:
        network = RADNNetwork(channels, growth, layers)
        super().__init__(network, correction=network.leave)
