"""The simple CNN as a method of the harness: each frame by itself."""

from __future__ import annotations

from collections.abc import Sequence

from deblurbench.methods.image import ImageNetworkMethod

from .network import PlainCNN


class SimpleCNN(ImageNetworkMethod):
    """A stack of convolutions; see PlainCNN for `kernels` and `channels`."""

    def __init__(self, kernels: Sequence[int] = (9, 1, 5), channels: Sequence[int] = (64, 32)) -> None:
        network = PlainCNN(kernels, channels)
        super().__init__(network, correction=network.last)
