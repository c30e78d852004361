"""The simple auto-encoder as a method of the harness: each frame by itself."""

from __future__ import annotations

from deblurbench.methods.image import ImageNetworkMethod

from .network import AutoEncoder


class SimpleAutoEncoder(ImageNetworkMethod):
    """An auto-encoder with or without `skips`; without them it adds nothing to its input."""

    def __init__(self, skips: bool = True) -> None:
        network = AutoEncoder(skips)
        super().__init__(network, correction=network.leave if skips else None)
