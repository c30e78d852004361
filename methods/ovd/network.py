"""OVD: a spatio-temporal recurrent network whose features blend with the last frame's, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deblurbench.methods.layers import conv, up4

FRAMES = 5
FEATURES = 64
CARRIED = 32
State = tuple[Tensor, Tensor]


class BlendResBlock(nn.Module):
    """ReLU(x + BN(conv(ReLU(BN(conv(x)))))), 64 channels, 3x3."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv(FEATURES, FEATURES),
            nn.BatchNorm2d(FEATURES),
            nn.ReLU(),
            conv(FEATURES, FEATURES),
            nn.BatchNorm2d(FEATURES),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 64, h, w) to the same shape."""
        return torch.relu(x + self.branch(x))


class TemporalBlending(nn.Module):
    """Dynamic temporal blending: h = w * h_now + (1 - w) * h_last, with w from both (equations 4 and 5)."""

    def __init__(self, learned_beta: bool = True) -> None:
        super().__init__()
        self.weigh = conv(2 * FEATURES, FEATURES, 5)
        self.beta = nn.Parameter(torch.zeros(1)) if learned_beta else None

    def forward(self, now: Tensor, last: Tensor) -> Tensor:
        """Two (B, 64, h, w) to their blend."""
        w = 2 * torch.abs(torch.sigmoid(self.weigh(torch.cat([now, last], dim=1))) - 0.5)
        w = (w if self.beta is None else w + self.beta).clamp(0, 1)
        return w * now + (1 - w) * last


class OVDNetwork(nn.Module):
    """STRCNN+DTB: 926,084 parameters with the learned bias beta of the blending, 926,083 without."""

    def __init__(self, learned_beta: bool = True) -> None:
        super().__init__()
        self.enter = nn.Sequential(conv(3 * FRAMES, 64, 5), nn.ReLU(), conv(64, CARRIED, stride=2), nn.ReLU())
        self.encoder = nn.Sequential(*(BlendResBlock() for _ in range(4)))
        self.blend = TemporalBlending(learned_beta)
        self.decoder = nn.Sequential(*(BlendResBlock() for _ in range(4)))
        self.carry = nn.Sequential(conv(FEATURES, CARRIED), nn.ReLU())
        self.leave = nn.Sequential(up4(FEATURES, FEATURES), nn.ReLU(), conv(FEATURES, 3))

    def first_state(self, frames: Tensor) -> State:
        """f_0 (B, 32, H/2, W/2) and h_0 (B, 64, H/2, W/2): zeros."""
        batch, height, width = frames.shape[0], frames.shape[-2] // 2, frames.shape[-1] // 2
        return frames.new_zeros(batch, CARRIED, height, width), frames.new_zeros(batch, FEATURES, height, width)

    def forward(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(B, 5, 3, H, W) in [-0.5, 0.5] and (f, h) to the centre frame (B, 3, H, W) and the new state. H, W even."""
        carried, last = state
        now = self.encoder(torch.cat([self.enter(frames.flatten(1, 2)), carried], dim=1))
        blended = self.blend(now, last)
        features = self.decoder(blended)
        return self.leave(features), (self.carry(features), blended)
