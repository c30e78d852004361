"""The network of SRN: one encoder-decoder with ResBlocks, run at three scales with shared weights.

After the official source (jiangsutx/SRN-Deblur): summed skips, no image residual, ConvLSTM 3x3 in the bottleneck with
forget bias 1 and gates in the order i, j, f, o, whose h the decoder reads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .resize import Conventions, Down, Up, resize

SCALES = (4, 2, 1)
State = tuple[Tensor, Tensor]


class ResBlock(nn.Module):
    """x + conv(ReLU(conv(x))), 5x5 as in the source by default."""

    def __init__(self, channels: int, kernel: int = 5) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return x + self.second(torch.relu(self.first(x)))


def blocks(channels: int, kernel: int = 5) -> nn.Sequential:
    """Three ResBlocks."""
    return nn.Sequential(*(ResBlock(channels, kernel) for _ in range(3)))


class Encoder(nn.Module):
    """A blurry frame and the prediction from below, to features at 1, 1/2 and 1/4 of the scale's size.

    Layers are named by the paper's widths: 32, 64 and 128 channels. `width` = 16 halves them all.
    """

    def __init__(
        self, colours: int, conventions: Conventions, width: int = 32, kernel: int = 5, frames: int = 1
    ) -> None:
        super().__init__()
        self.enter32 = nn.Conv2d((frames + 1) * colours, width, kernel, padding=kernel // 2)
        self.blocks32 = blocks(width, kernel)
        self.down64 = Down(width, 2 * width, conventions)
        self.blocks64 = blocks(2 * width, kernel)
        self.down128 = Down(2 * width, 4 * width, conventions)
        self.blocks128 = blocks(4 * width, kernel)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, (frames + 1) * colours, h, w) to (B, 32, h, w), (B, 64, h/2, w/2), (B, 128, h/4, w/4)."""
        e32 = self.blocks32(torch.relu(self.enter32(x)))
        e64 = self.blocks64(torch.relu(self.down64(e32)))
        return e32, e64, self.blocks128(torch.relu(self.down128(e64)))


class Decoder(nn.Module):
    """Bottleneck features to the frame, with the encoder's features added on the way."""

    def __init__(self, colours: int, width: int = 32, kernel: int = 5) -> None:
        super().__init__()
        self.blocks128 = blocks(4 * width, kernel)
        self.up64 = Up(4 * width, 2 * width)
        self.blocks64 = blocks(2 * width, kernel)
        self.up32 = Up(2 * width, width)
        self.blocks32 = blocks(width, kernel)
        self.leave = nn.Conv2d(width, colours, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, e32: Tensor, e64: Tensor) -> Tensor:
        """(B, 128, h/4, w/4) and the encoder's features to the predicted frame (B, colours, h, w), linear."""
        d64 = self.blocks64(torch.relu(self.up64(self.blocks128(x))) + e64)
        d32 = self.blocks32(torch.relu(self.up32(d64)) + e32)
        return self.leave(d32)


class ConvLSTM(nn.Module):
    """Convolutional LSTM, 3x3, forget bias 1.0, gates in the order i, j, f, o (TensorFlow's)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Features (B, C, h, w) and (c, h) of the scale below to h, which the decoder reads, and the new (c, h)."""
        cell, hidden = state
        i, j, f, o = self.gates(torch.cat([x, hidden], dim=1)).chunk(4, dim=1)
        cell = cell * torch.sigmoid(f + 1.0) + torch.sigmoid(i) * torch.tanh(j)
        hidden = torch.tanh(cell) * torch.sigmoid(o)
        return hidden, (cell, hidden)


class SRNNetwork(nn.Module):
    """SRN for `colours` channels, with or without the ConvLSTM.

    Parameters: 8,061,411 (3 colours, LSTM), 8,056,609 (1, LSTM), 6,881,251 (3), 6,876,449 (1). Not the paper's are
    `width` (channels at full size), `kernel` (of the convolutions without stride), `skip` (each scale's blurry frame is
    added to its prediction), `fold`: squares of `fold` x `fold` pixels become channels on the way in and pixels
    again on the way out, so that every layer works at a `fold`-th of the size, and `radius`: every scale sees that many
    neighbouring frames on either side, too, as they are.
    """

    def __init__(
        self,
        colours: int = 3,
        lstm: bool = True,
        conventions: Conventions = "torch",
        width: int = 32,
        skip: bool = False,
        kernel: int = 5,
        fold: int = 1,
        radius: int = 0,
    ) -> None:
        super().__init__()
        self.conventions: Conventions = conventions
        self.colours, self.skip, self.fold = colours, skip, fold
        self.encoder = Encoder(colours * fold**2, conventions, width, kernel, 2 * radius + 1)
        self.lstm = ConvLSTM(4 * width) if lstm else None
        self.decoder = Decoder(colours * fold**2, width, kernel)

    def forward(self, blurry: Tensor) -> list[Tensor]:
        """(B, colours, H, W) in [0, 1] to predictions at 1/4, 1/2 and full size, coarse to fine. 16 divides H, W.

        With a radius, (B, (2 * radius + 1) * colours, H, W): the frame to restore, then its neighbours.
        """
        height, width = blurry.shape[-2:]
        predictions: list[Tensor] = []
        state: State | None = None
        for scale in SCALES:
            frames = resize(blurry, height // scale, width // scale, self.conventions)
            here = frames[:, : self.colours]
            below = predictions[-1].detach() if predictions else here
            below = resize(below, here.shape[-2], here.shape[-1], self.conventions)
            prediction, state = self.at_scale(frames, below, state)
            predictions.append(prediction + here if self.skip else prediction)
        return predictions

    def at_scale(self, frames: Tensor, below: Tensor, state: State | None) -> tuple[Tensor, State | None]:
        """One scale: the blurry frames and the prediction from below (B, colours, h, w) to a prediction."""
        here, near = frames[:, : self.colours], frames[:, self.colours :]
        e32, e64, e128 = self.encoder(self._folded(torch.cat([here, below.to(here.dtype), near], dim=1)))
        if self.lstm is None:
            hidden = e128
        else:
            hidden, state = self.lstm(e128, self._resized(state, e128))
        return self._unfolded(self.decoder(hidden, e32, e64), *frames.shape[-2:]), state

    def _folded(self, x: Tensor) -> Tensor:
        """(B, C, h, w), where 4 divides h and w, to (B, fold^2 C, h / fold, w / fold); edges are repeated to fit."""
        if self.fold == 1:
            return x
        each = 4 * self.fold  # what the encoder halves twice must stay whole
        down, right = -x.shape[-2] % each, -x.shape[-1] % each
        return F.pixel_unshuffle(F.pad(x, (0, right, 0, down), mode="replicate"), self.fold)

    def _unfolded(self, x: Tensor, height: int, width: int) -> Tensor:
        return F.pixel_shuffle(x, self.fold)[..., :height, :width]

    def _resized(self, state: State | None, like: Tensor) -> State:
        if state is None:
            return torch.zeros_like(like), torch.zeros_like(like)
        height, width = like.shape[-2:]
        cell, hidden = (resize(s, height, width, self.conventions) for s in state)
        return cell, hidden
