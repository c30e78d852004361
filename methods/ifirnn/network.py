"""The network of IFI-RNN, as drawn in figure 2 of the paper: F_B, F_R, F_h and F_L.

Layers: the best supported list (the paper's supplement was never published with code); see the card. No batch
normalisation, no activation outside the ResBlocks, no image skip: the network predicts the frame itself (except in
the variant that is named for its skip and is not the paper's).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FEATURES = 60
HIDDEN = 20
JOINT = FEATURES + HIDDEN


class ResBlock(nn.Module):
    """x + conv3x3(ReLU(conv3x3(x))), without batch normalisation and without a ReLU after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return x + self.second(torch.relu(self.first(x)))


def blur_features() -> nn.Sequential:
    """F_B: a blurry frame (B, 3, H, W) to its features (B, 60, H/4, W/4)."""
    return nn.Sequential(
        nn.Conv2d(3, 20, 5, padding=2),
        nn.Conv2d(20, 40, 5, stride=2, padding=2),
        nn.Conv2d(40, FEATURES, 5, stride=2, padding=2),
    )


def residual_features() -> nn.Sequential:
    """F_R: blur features and hidden state (B, 80, h, w) to joint features of the same shape."""
    return nn.Sequential(*(ResBlock(JOINT) for _ in range(6)))


def hidden_state() -> nn.Sequential:
    """F_h: joint features (B, 80, h, w) to the hidden state (B, 20, h, w)."""
    return nn.Sequential(
        nn.Conv2d(JOINT, HIDDEN, 3, padding=1), ResBlock(HIDDEN), nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1)
    )


def latent_frame() -> nn.Sequential:
    """F_L: joint features (B, 80, H/4, W/4) to the latent frame (B, 3, H, W)."""
    return nn.Sequential(
        nn.ConvTranspose2d(JOINT, 40, 3, stride=2, padding=1, output_padding=1),
        nn.ConvTranspose2d(40, 20, 3, stride=2, padding=1, output_padding=1),
        nn.Conv2d(20, 3, 5, padding=2),
    )


class Cell(nn.Module):
    """One RNN cell: F_B, F_R and F_h. F_L belongs to the network, since only the last cell predicts."""

    def __init__(self) -> None:
        super().__init__()
        self.F_B = blur_features()
        self.F_R = residual_features()
        self.F_h = hidden_state()

    def joint(self, f_b: Tensor, hidden: Tensor) -> Tensor:
        """f_R = F_R(f_B, h)."""
        return self.F_R(torch.cat([f_b, hidden], dim=1))


class IFIRNNNetwork(nn.Module):
    """One time-step of IFI-RNN, Algorithm 1 of the paper, for one cell (C1) or two (C2).

    836,623 parameters for one cell, 1,635,683 for two. `skip` adds the blurry frame to the prediction, which the paper
    does not do.
    """

    def __init__(self, cells: int = 1, iterations: int = 1, skip: bool = False) -> None:
        super().__init__()
        self.skip = skip
        if cells not in (1, 2) or iterations < 1:
            raise ValueError(f"IFI-RNN has 1 or 2 cells and at least 1 iteration, not {cells} and {iterations}")
        self.iterations = iterations
        self.cells = nn.ModuleList(Cell() for _ in range(cells))
        self.F_L = latent_frame()

    def first_state(self, frame: Tensor) -> Tensor:
        """h_0: zeros (B, 20, H/4, W/4) for frames (B, 3, H, W)."""
        return frame.new_zeros(frame.shape[0], HIDDEN, frame.shape[2] // 4, frame.shape[3] // 4)

    def blur_features(self, blurry: Tensor) -> tuple[Tensor, ...]:
        """f_B of every cell (B, 60, H/4, W/4) for frames (B, 3, H, W), by the layers themselves."""
        return tuple(cell.F_B(blurry) for cell in self.cells)

    def start(self, features: tuple[Tensor, ...], hidden: Tensor) -> tuple[Tensor, Tensor]:
        """What the iterations start from: the last cell's f_B (B, 60, h, w) and h^0 (B, 20, h, w)."""
        if len(self.cells) == 2:
            first = self.cells[0]
            hidden = first.F_h(first.joint(features[0], hidden))
        return features[-1], hidden

    def iterate(self, f_b: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """One iteration of the last cell: f_R^i = F_R(f_B, h^{i-1}) (B, 80, h, w) and h^i = F_h(f_R^i)."""
        f_r = self.cells[-1].joint(f_b, hidden)
        return f_r, self.cells[-1].F_h(f_r)

    def forward(self, blurry: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """B_t (B, 3, H, W) in [-0.5, 0.5] and h_{t-1} to L_t in the same range and h_t. H and W divide by 4."""
        f_r, hidden = self.advance(self.blur_features(blurry), hidden)
        return self.latent(f_r, blurry), hidden

    def advance(self, features: tuple[Tensor, ...], hidden: Tensor) -> tuple[Tensor, Tensor]:
        """One frame's f_B of every cell and h_{t-1} to the joint features f_R (B, 80, h, w) and h_t."""
        f_b, hidden = self.start(features, hidden)
        f_r = f_b
        for _ in range(self.iterations):
            f_r, hidden = self.iterate(f_b, hidden)
        return f_r, hidden

    def latent(self, f_r: Tensor, blurry: Tensor) -> Tensor:
        """L_t = F_L(f_R) (B, 3, H, W), to which a skip variant adds B_t."""
        restored: Tensor = self.F_L(f_r)
        return restored + blurry if self.skip else restored
