"""The convolutional trunks that LPIPS reads: AlexNet, VGG-16 and SqueezeNet 1.1, as tables of layers.

A trunk is the `features` part of torchvision's network of that name, with torchvision's state dict keys; LPIPS taps the
activations after chosen layers [richzhang/PerceptualSimilarity, lpips/pretrained_networks.py]. Layers are applied
to a plain dictionary of tensors, so nothing of torchvision is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

State = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Conv:
    """A convolution with bias and the ReLU after it."""

    key: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Its tensors' names and shapes."""
        weight = (self.outputs, self.inputs, self.kernel, self.kernel)
        return {f"{self.key}.weight": weight, f"{self.key}.bias": (self.outputs,)}

    def __call__(self, x: Tensor, state: State) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H', W')."""
        import torch.nn.functional as F

        weight, bias = state[f"{self.key}.weight"], state[f"{self.key}.bias"]
        return F.relu_(F.conv2d(x, weight, bias, self.stride, self.padding))


@dataclass(frozen=True)
class Pool:
    """Maximum pooling."""

    kernel: int
    ceil: bool = False

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """It has no tensors."""
        return {}

    def __call__(self, x: Tensor, state: State) -> Tensor:
        """Halve height and width."""
        import torch.nn.functional as F

        return F.max_pool2d(x, self.kernel, 2, ceil_mode=self.ceil)


@dataclass(frozen=True)
class Fire:
    """SqueezeNet's block: squeeze by 1x1, expand by 1x1 and 3x3 side by side."""

    key: str
    inputs: int
    squeezed: int
    expanded: int

    def _parts(self) -> tuple[Conv, Conv, Conv]:
        return (
            Conv(f"{self.key}.squeeze", self.inputs, self.squeezed, 1),
            Conv(f"{self.key}.expand1x1", self.squeezed, self.expanded, 1),
            Conv(f"{self.key}.expand3x3", self.squeezed, self.expanded, 3, padding=1),
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Its tensors' names and shapes."""
        return {name: shape for part in self._parts() for name, shape in part.shapes().items()}

    def __call__(self, x: Tensor, state: State) -> Tensor:
        """(B, inputs, H, W) to (B, 2 * expanded, H, W)."""
        import torch

        squeeze, narrow, wide = self._parts()
        x = squeeze(x, state)
        return torch.cat([narrow(x, state), wide(x, state)], 1)


@dataclass(frozen=True)
class Trunk:
    """A trunk: the layers of each slice (a tap lies after each), the channels at the taps, and its file.

    `file` is torchvision's; its last eight digits begin the file's sha256. `smallest` is the shortest side of a frame
    that still leaves one value at the last tap.
    """

    title: str
    file: str
    slices: tuple[tuple[Conv | Pool | Fire, ...], ...]
    channels: tuple[int, ...]
    smallest: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """All tensors' names and shapes."""
        return {k: v for part in self.slices for layer in part for k, v in layer.shapes().items()}

    def taps(self, x: Tensor, state: State) -> Iterator[Tensor]:
        """The activations after each slice, one at a time, of (B, 3, H, W) scaled frames."""
        for part in self.slices:
            for layer in part:
                x = layer(x, state)
            yield x


def _conv3(index: int, inputs: int, outputs: int) -> Conv:
    return Conv(f"features.{index}", inputs, outputs, 3, padding=1)


def _vgg_slices() -> tuple[tuple[Conv | Pool, ...], ...]:
    """Slices of two or three 3x3 convolutions, with a pooling before all but the first."""
    slices: list[tuple[Conv | Pool, ...]] = []
    index, inputs = 0, 3
    for outputs, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        part: list[Conv | Pool] = [Pool(2)] if slices else []
        index += len(part)
        for _ in range(count):
            part.append(_conv3(index, inputs, outputs))
            index, inputs = index + 2, outputs
        slices.append(tuple(part))
    return tuple(slices)


TRUNKS: dict[str, Trunk] = {
    "alex": Trunk(
        "AlexNet",
        "alexnet-owt-7be5be79.pth",
        (
            (Conv("features.0", 3, 64, 11, 4, 2),),
            (Pool(3), Conv("features.3", 64, 192, 5, 1, 2)),
            (Pool(3), _conv3(6, 192, 384)),
            (_conv3(8, 384, 256),),
            (_conv3(10, 256, 256),),
        ),
        (64, 192, 384, 256, 256),
        31,
    ),
    "vgg": Trunk("VGG-16", "vgg16-397923af.pth", _vgg_slices(), (64, 128, 256, 512, 512), 16),
    "squeeze": Trunk(
        "SqueezeNet 1.1",
        "squeezenet1_1-b8a52dc0.pth",
        (
            (Conv("features.0", 3, 64, 3, 2),),
            (Pool(3, True), Fire("features.3", 64, 16, 64), Fire("features.4", 128, 16, 64)),
            (Pool(3, True), Fire("features.6", 128, 32, 128), Fire("features.7", 256, 32, 128)),
            (Pool(3, True), Fire("features.9", 256, 48, 192)),
            (Fire("features.10", 384, 48, 192),),
            (Fire("features.11", 384, 64, 256),),
            (Fire("features.12", 512, 64, 256),),
        ),
        (64, 128, 256, 384, 384, 512, 512),
        17,
    ),
}
