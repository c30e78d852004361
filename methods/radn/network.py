"""RADN: a densely connected encoder-decoder with dense deformable modules and self-attention at its bottom.

The order of the parts is the paper's as far as it is known here: frames folded to half the size, dense blocks as in
DenseNet-121, modules of six densely connected deformable convolutions, self-attention between encoder and decoder, no
pyramid of scales. Widths of the decoder and all that the card lists are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblurbench.methods.layers import conv, up4

from .deformable import DeformableConv

DEFORMABLE = 6
SQUEEZE = 4


class DenseLayer(nn.Module):
    """Features and `growth` more, made of them: ReLU, 1x1 to 4 * growth, ReLU, 3x3 (DenseNet's, not normalised)."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.squeeze = conv(inputs, SQUEEZE * growth, 1)
        self.grow = conv(SQUEEZE * growth, growth)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C + growth, h, w)."""
        return torch.cat([x, self.grow(torch.relu(self.squeeze(torch.relu(x))))], dim=1)


def dense_block(inputs: int, layers: int, growth: int) -> nn.Sequential:
    """`layers` dense layers: (B, inputs, h, w) to (B, inputs + layers * growth, h, w)."""
    return nn.Sequential(*(DenseLayer(inputs + place * growth, growth) for place in range(layers)))


class DenseDeformable(nn.Module):
    """Six densely connected deformable convolutions, squeezed to half of all channels and joined to the input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(DeformableConv(inputs + k * growth, growth) for k in range(DEFORMABLE))
        self.squeeze = conv(inputs + DEFORMABLE * growth, self.added(inputs, growth), 1)

    @staticmethod
    def added(inputs: int, growth: int) -> int:
        """The channels that the module adds."""
        return (inputs + DEFORMABLE * growth) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C + added, h, w)."""
        grown = x
        for unit in self.units:
            grown = torch.cat([grown, torch.relu(unit(grown))], dim=1)
        return torch.cat([x, self.squeeze(grown)], dim=1)


class SelfAttention(nn.Module):
    """x + what every position gathers from all positions of the frame, weighted by likeness; one head, from 0."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.ask = conv(channels, inner, 1)
        self.offer = conv(channels, inner, 1)
        self.carry = conv(channels, inner, 1)
        self.gather = conv(inner, channels, 1)
        self.share = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        ask, offer, carry = (part(x).flatten(2).transpose(1, 2) for part in (self.ask, self.offer, self.carry))
        gathered = F.scaled_dot_product_attention(ask[:, None], offer[:, None], carry[:, None])[:, 0]
        return x + self.share * self.gather(gathered.transpose(1, 2).unflatten(2, x.shape[-2:]))


class Down(nn.Module):
    """Transition between encoder levels: ReLU, 1x1 to half of the channels, mean of 2x2."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.squeeze = conv(inputs, inputs // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C / 2, h / 2, w / 2)."""
        return F.avg_pool2d(self.squeeze(torch.relu(x)), 2)


class Up(nn.Module):
    """Features at twice the size, joined with the encoder's of that size, and a dense block."""

    def __init__(self, inputs: int, skip: int, outputs: int, layers: int, growth: int) -> None:
        super().__init__()
        self.enlarge = up4(inputs, outputs)
        self.join = conv(outputs + skip, outputs, 1)
        self.dense = dense_block(outputs, layers, growth)
        self.outputs = outputs + layers * growth

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, C, h, w) and (B, C', 2h, 2w) to (B, outputs, 2h, 2w)."""
        return self.dense(self.join(torch.cat([torch.relu(self.enlarge(x)), skip], dim=1)))


class RADNNetwork(nn.Module):
    """Dense blocks at 1/2, 1/4 and 1/8 of the size; the two lower ones end in dense deformable modules.

    `layers` are the dense layers of the three blocks, `growth` is what each adds, `channels` enter the first.
    """

    def __init__(self, channels: int, growth: int, layers: Sequence[int]) -> None:
        super().__init__()
        half, quarter, eighth = layers
        wide = 2 * growth
        self.enter = nn.Sequential(nn.PixelUnshuffle(2), conv(12, channels, 1))
        self.dense2 = dense_block(channels, half, growth)
        c2 = channels + half * growth
        self.down4, inside4 = Down(c2), c2 // 2 + quarter * growth
        self.dense4 = nn.Sequential(dense_block(c2 // 2, quarter, growth), DenseDeformable(inside4, growth))
        c4 = inside4 + DenseDeformable.added(inside4, growth)
        self.down8, inside8 = Down(c4), c4 // 2 + eighth * growth
        self.dense8 = nn.Sequential(dense_block(c4 // 2, eighth, growth), DenseDeformable(inside8, growth))
        c8 = inside8 + DenseDeformable.added(inside8, growth)
        self.attention = SelfAttention(c8, wide)
        self.up4 = Up(c8, c4, 2 * wide, quarter // 2, growth)
        self.up2 = Up(self.up4.outputs, c2, wide, half // 2, growth)
        self.leave = conv(self.up2.outputs, 12)
        self.unfold = nn.PixelShuffle(2)

    def forward(self, blurry: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to the restored frame of the same shape. 8 divides H and W."""
        e2 = self.dense2(self.enter(blurry))
        e4 = self.dense4(self.down4(e2))
        e8 = self.attention(self.dense8(self.down8(e4)))
        return blurry + self.unfold(self.leave(torch.relu(self.up2(self.up4(e8, e4), e2))))
