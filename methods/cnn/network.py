"""A plain stack of convolutions, each but the last followed by a ReLU, whose output is added to the frame."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from deblurbench.methods.layers import conv


class PlainCNN(nn.Module):
    """Convolutions with `kernels` and `channels` (of all but the last, which gives 3). No strides, no pooling."""

    def __init__(self, kernels: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        widths = [3, *channels, 3]
        layers: list[nn.Module] = []
        for kernel, inputs, outputs in zip(kernels, widths[:-1], widths[1:], strict=True):
            layers += [conv(inputs, outputs, kernel), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    @property
    def last(self) -> nn.Module:
        """The convolution that makes the correction."""
        return self.layers[-1]

    def forward(self, blurry: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to the restored frame of the same shape."""
        return blurry + self.layers(blurry)
