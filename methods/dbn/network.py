"""DBN: an encoder-decoder over five stacked frames, three times down and up, with summed skips."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deblurbench.methods.layers import conv, up4

FRAMES = 5
EPSILON = 1e-3


def layer(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(conv(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs, eps=EPSILON), nn.ReLU())


def upper(inputs: int, outputs: int) -> nn.Sequential:
    """Transposed convolution to twice the size and batch normalisation; the ReLU follows the skip's sum."""
    return nn.Sequential(up4(inputs, outputs), nn.BatchNorm2d(outputs, eps=EPSILON))


class DBNNetwork(nn.Module):
    """Table 1 of the paper: 15,305,291 parameters. F0 .. F6, D1 .. D3 (down), U1 .. U3 (up) are its names."""

    def __init__(self, sigmoid: bool = True) -> None:
        super().__init__()
        self.sigmoid = sigmoid
        self.F0 = layer(3 * FRAMES, 64, kernel=5)
        self.D1 = layer(64, 64, stride=2)
        self.F1 = nn.Sequential(layer(64, 128), layer(128, 128))
        self.D2 = layer(128, 256, stride=2)
        self.F2 = nn.Sequential(*(layer(256, 256) for _ in range(3)))
        self.D3 = layer(256, 512, stride=2)
        self.F3 = nn.Sequential(*(layer(512, 512) for _ in range(3)))
        self.U1 = upper(512, 256)
        self.F4 = nn.Sequential(*(layer(256, 256) for _ in range(3)))
        self.U2 = upper(256, 128)
        self.F5 = nn.Sequential(layer(128, 128), layer(128, 64))
        self.U3 = upper(64, 64)
        self.F6 = nn.Sequential(layer(64, 15), conv(15, 3), nn.BatchNorm2d(3, eps=EPSILON))

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 5, 3, H, W) in [0, 1] to the restored centre frame (B, 3, H, W). 8 divides H and W."""
        f0 = self.F0(frames.flatten(1, 2))
        f1 = self.F1(self.D1(f0))
        f2 = self.F2(self.D2(f1))
        f3 = self.F3(self.D3(f2))
        f4 = self.F4(torch.relu(self.U1(f3) + f2))
        f5 = self.F5(torch.relu(self.U2(f4) + f1))
        f6 = self.F6(torch.relu(self.U3(f5) + f0)) + frames[:, FRAMES // 2]
        return torch.sigmoid(f6) if self.sigmoid else f6
