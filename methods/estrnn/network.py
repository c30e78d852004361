"""ESTRNN: a recurrent cell of residual dense blocks, whose features of five frames are fused by attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deblurbench.methods.layers import conv, up3

N = 16
JOINT = 5 * N
RADIUS = 2
FRAMES = 2 * RADIUS + 1


class ResidualDenseBlock(nn.Module):
    """Three 3x3 convolutions (GELU), each reading all features before it, a 1x1 fusion, and the sum with the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.dense = nn.ModuleList(conv(channels + i * growth, growth) for i in range(3))
        self.fuse = conv(channels + 3 * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        features = x
        for layer in self.dense:
            features = torch.cat([features, nn.functional.gelu(layer(features))], dim=1)
        return x + self.fuse(features)


class ResidualDenseNet(nn.Module):
    """`blocks` residual dense blocks in a row; the outputs of all are fused by 1x1 and 3x3 convolutions."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualDenseBlock(JOINT, 2 * N) for _ in range(blocks))
        self.fuse = nn.Sequential(conv(blocks * JOINT, JOINT, 1), conv(JOINT, JOINT))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 80, h, w) to the same shape."""
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return self.fuse(torch.cat(outputs, dim=1))


class Cell(nn.Module):
    """The RDB cell: F_B (frame features), F_R (joint features), F_h (hidden state)."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.F_B = nn.Sequential(
            conv(3, N, 5),
            ResidualDenseBlock(N, N),
            conv(N, 2 * N, 5, stride=2),
            ResidualDenseBlock(2 * N, 3 * N // 2),
            conv(2 * N, 4 * N, 5, stride=2),
        )
        self.F_R = ResidualDenseNet(blocks)
        self.F_h = nn.Sequential(conv(JOINT, N), ResidualDenseBlock(N, N), conv(N, N))

    def forward(self, blurry: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """B_t (B, 3, H, W) and h_{t-1} (B, 16, H/4, W/4) to features (B, 80, H/4, W/4) and h_t."""
        features = self.F_R(torch.cat([self.F_B(blurry), hidden], dim=1))
        return features, self.F_h(features)


class Fusion(nn.Module):
    """Global spatio-temporal attention: each neighbour's features, weighed channel by channel against the centre's."""

    def __init__(self) -> None:
        super().__init__()
        pair = 2 * JOINT
        self.attend = nn.Sequential(nn.Linear(pair, 2 * pair), nn.GELU(), nn.Linear(2 * pair, pair), nn.Sigmoid())
        self.project = nn.Sequential(conv(pair, 2 * pair, 1), conv(2 * pair, pair, 1))
        self.condense = conv(pair, JOINT, 1)
        self.fuse = conv(FRAMES * JOINT, FRAMES * JOINT, 1)

    def forward(self, window: Sequence[Tensor]) -> Tensor:
        """Five features (B, 80, h, w) to (B, 400, h, w): the four neighbours in order, then the centre."""
        centre = window[RADIUS]
        neighbours = [self._weighed(centre, f) for i, f in enumerate(window) if i != RADIUS]
        return self.fuse(torch.cat([*neighbours, centre], dim=1))

    def _weighed(self, centre: Tensor, neighbour: Tensor) -> Tensor:
        pair = torch.cat([centre, neighbour], dim=1)
        weights = self.attend(pair.mean(dim=(2, 3)))[:, :, None, None]
        return self.condense(weights * self.project(pair))


class ESTRNNNetwork(nn.Module):
    """ESTRNN of `blocks` residual dense blocks: 1,763,387 parameters with 9 (B9C80), 2,467,931 with 15 (B15C80)."""

    def __init__(self, blocks: int = 9) -> None:
        super().__init__()
        self.cell = Cell(blocks)
        self.fusion = Fusion()
        self.reconstruct = nn.Sequential(up3(FRAMES * JOINT, 2 * N), up3(2 * N, N), conv(N, 3, 5))

    def first_state(self, frame: Tensor) -> Tensor:
        """h_0: zeros (B, 16, H/4, W/4) for frames (B, 3, H, W)."""
        return frame.new_zeros(frame.shape[0], N, frame.shape[2] // 4, frame.shape[3] // 4)

    def forward(self, window: Sequence[Tensor]) -> Tensor:
        """The cell's features of five frames, each (B, 80, H/4, W/4), to the centre frame (B, 3, H, W)."""
        return self.reconstruct(self.fusion(window))
