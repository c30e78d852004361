"""BANet as a method of the harness: each frame by itself."""

from __future__ import annotations

from deblurbench.methods.image import ImageNetworkMethod

from .network import BANetNetwork


class BANet(ImageNetworkMethod):
    """BANet with `modules` blur-aware modules of `channels` channels."""

    def __init__(self, channels: int = 64, modules: int = 4) -> None:
        network = BANetNetwork(channels, modules)
        super().__init__(network, correction=network.leave)
