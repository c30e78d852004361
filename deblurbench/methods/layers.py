"""Layers and clip helpers that several networks share. Imports torch: only plugins' code imports this module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch  # noqa: TID253  (layers are classes of torch; nothing that lists or shows plugins imports this module)
from torch import Tensor, nn  # noqa: TID253

from deblurbench.methods.base import sliding


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size (or divides it by `stride`), zero padded, with bias."""
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)


def up4(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Transposed convolution 4x4 that doubles the size exactly."""
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)


def up3(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Transposed convolution 3x3 that doubles the size exactly."""
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)


class ResBlock(nn.Module):
    """x + conv(ReLU(conv(x))): no batch normalisation, no ReLU after the sum."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.first = conv(channels, channels, kernel)
        self.second = conv(channels, channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return x + self.second(torch.relu(self.first(x)))


def clip_windows(clips: Tensor, radius: int) -> Tensor:
    """Clips (B, T, C, H, W) to the window of every frame (B * T, 2 * radius + 1, C, H, W), as `sliding` makes them."""
    windows = [torch.stack(window, dim=1) for window in sliding(clips.unbind(dim=1), radius)]
    return torch.stack(windows, dim=1).flatten(0, 1)


@torch.no_grad()
def silence(layer: nn.Module) -> None:
    """Set a layer's weight and bias to zero: what it adds to a skip starts as nothing."""
    for parameter in layer.parameters(recurse=False):
        parameter.zero_()


@torch.no_grad()
def pick(layer: nn.Conv2d, taps: Iterable[tuple[int, int, int, int]]) -> None:
    """Let the outputs named in `taps` (output, input, row, column) read one input pixel each, and nothing else."""
    for output, source, row, column in taps:
        layer.weight[output] = 0
        layer.weight[output, source, row, column] = 1
        if layer.bias is not None:
            layer.bias[output] = 0


def copy_channels(layer: nn.Conv2d, channels: int, source: int = 0, target: int = 0) -> None:
    """Let outputs `target`.. be a copy of the `channels` inputs from `source` on."""
    middle = layer.kernel_size[0] // 2
    pick(layer, [(target + c, source + c, middle, middle) for c in range(channels)])


def sort_blocks(layer: nn.Conv2d, channels: int) -> None:
    """Let a stride-2 convolution sort 2x2 blocks of its first `channels` inputs into its first 4 * `channels` outputs.

    With padding k // 2, tap k // 2 + d of output i reads input 2 i + d.
    """
    middle = layer.kernel_size[0] // 2
    pick(layer, [(o, c, middle + dy, middle + dx) for o, c, dy, dx in _blocks(channels)])


@torch.no_grad()
def place_blocks(layer: nn.ConvTranspose2d, channels: int, source: int = 0) -> None:
    """Let `up3` or `up4` undo `sort_blocks`, from its inputs `source`.. to its first `channels` outputs.

    With padding 1, tap k of input i lands on output 2 i - 1 + k.
    """
    layer.weight[:, :channels] = 0
    if layer.bias is not None:
        layer.bias[:channels] = 0
    for block, channel, dy, dx in _blocks(channels):
        layer.weight[source + block, channel, 1 + dy, 1 + dx] = 1


def _blocks(channels: int) -> Iterator[tuple[int, int, int, int]]:
    """(sorted channel, channel, row, column) of the pixels of 2x2 blocks."""
    for channel in range(channels):
        for dy in (0, 1):
            for dx in (0, 1):
                yield 4 * channel + 2 * dy + dx, channel, dy, dx
