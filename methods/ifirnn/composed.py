"""F_B and F_L of IFI-RNN each as one convolution at a quarter of the frame's size, composed from their own layers.

Neither has an activation, so each is one linear map. Composed, F_B is a 5x5 convolution of the frame's 4x4 blocks
(48 channels to 60), and F_L a 4x4 convolution to 48 channels that are put back as 4x4 blocks. Nothing of full size
with 20 channels is computed. The parameters stay those of the paper's layers: kernels are composed in every forward
pass, differentiably and in float32.

Inside a frame the functions are the same up to rounding. At its border they differ, because the layers pad with zeros
between one another: in the outermost RING features of F_B and the outermost RIM pixels of F_L. So this is for training
alone, where crops have borders that frames do not; a frame is restored by the layers themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 4
RING = 2
RIM = 12


class Map(NamedTuple):
    """A composed convolution: kernel (out, in, k, k) and bias (out,), float32."""

    kernel: Tensor
    bias: Tensor


def compose_features(layers: nn.Sequential) -> Map:
    """F_B as a map of 4x4 blocks: kernel (60, 48, 5, 5), bias (60,)."""
    first, second, third = (layers[n] for n in range(3))
    with torch.autocast(first.weight.device.type, enabled=False):
        kernel = F.conv_transpose2d(third.weight, second.weight, stride=2)  # strides of the two taken together
        kernel = F.conv_transpose2d(kernel, first.weight)  # (60, 3, 17, 17) on pixels, stride 4, padding 8
        bias = second.bias + second.weight.sum((2, 3)) @ first.bias
        bias = third.bias + third.weight.sum((2, 3)) @ bias
    return Map(F.pixel_unshuffle(F.pad(kernel, (0, 3, 0, 3)), BLOCK), bias)


def compose_frame(layers: nn.Sequential) -> Map:
    """F_L as a map to 4x4 blocks: kernel (48, 80, 4, 4), bias (48,)."""
    first, second, third = (layers[n] for n in range(3))
    with torch.autocast(first.weight.device.type, enabled=False):
        kernel = F.conv_transpose2d(first.weight, second.weight, stride=2)
        kernel = F.conv_transpose2d(kernel, third.weight.flip(2, 3).transpose(0, 1))  # (80, 3, 11, 11), stride 4
        # Pixel 4 J + r reads feature i through tap 4 (J - i) + r + 5; i runs from J - 1 to J + 2.
        taps = F.pixel_unshuffle(F.pad(kernel, (3, 2, 3, 2)), BLOCK).flip(2, 3).transpose(0, 1)
        blank = first.weight.new_zeros(1, first.weight.shape[0], 7, 7)
        middle = layers(blank)[:, :, RIM : RIM + BLOCK, RIM : RIM + BLOCK]
    return Map(taps, F.pixel_unshuffle(middle, BLOCK).flatten())


class Ends:
    """F_B of every cell and F_L, composed from a network's layers as they are now."""

    def __init__(self, blur_features: Iterable[nn.Sequential], latent_frame: nn.Sequential) -> None:
        self._into = [compose_features(layers) for layers in blur_features]
        self._out = compose_frame(latent_frame)

    def features(self, blurry: Tensor) -> tuple[Tensor, ...]:
        """Frames (B, 3, H, W) to each cell's blur features (B, 60, H/4, W/4)."""
        blocks = F.pixel_unshuffle(blurry, BLOCK).contiguous(memory_format=torch.channels_last)
        return tuple(F.conv2d(blocks, into.kernel, into.bias, padding=2) for into in self._into)

    def frame(self, joint: Tensor) -> Tensor:
        """Joint features (B, 80, h, w) to frames (B, 3, 4 h, 4 w)."""
        return F.pixel_shuffle(F.conv2d(F.pad(joint, (1, 2, 1, 2)), self._out.kernel, self._out.bias), BLOCK)
