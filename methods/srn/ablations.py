"""The baselines of the SRN paper's ablation (Table 1): 3x3 kernels throughout, transposed convolutions stay 4x4.

Kernels, block counts and what stands in the ConvLSTM's place were chosen so that the table's parameter counts come
out. SR-Flat and SR-RB (2.66 million in the table) cannot be derived from what is known; see FlatStage.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deblurbench.methods.layers import ResBlock, conv, copy_channels, silence, up4

from .network import SCALES, ConvLSTM
from .resize import Conventions, resize

State = tuple[Tensor, ...]
LIFT = 0.05
FLAT_CHANNELS = 78
FLAT_LAYERS = 43


class NoMemory(nn.Module):
    """One convolution in the ConvLSTM's place (SS, SC, w/oR)."""

    states = 0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.only = conv(channels, channels)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """(B, C, h, w) to the same shape; no state."""
        return torch.relu(self.only(x)), ()


class VanillaRNN(nn.Module):
    """A plain recurrence of two convolutions in the ConvLSTM's place (RNN). ReLU between and tanh after are ours."""

    states = 1

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = conv(2 * channels, channels)
        self.hidden = conv(channels, channels)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Features (B, C, h, w) and h of the scale below to the new h, which the decoder reads."""
        hidden = torch.tanh(self.hidden(torch.relu(self.join(torch.cat([x, *state], dim=1)))))
        return hidden, (hidden,)


class LSTM(nn.Module):
    """SRN's own ConvLSTM."""

    states = 2

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cell = ConvLSTM(channels)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Features (B, C, h, w) and (c, h) of the scale below to h, which the decoder reads, and the new (c, h)."""
        cell, hidden = state
        features, both = self.cell(x, (cell, hidden))
        return features, both


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    """`count` ResBlocks."""
    return nn.Sequential(*(ResBlock(channels) for _ in range(count)))


def plain_layers(channels: int, count: int) -> nn.Sequential:
    """`count` convolutions, each with a ReLU."""
    return nn.Sequential(*(layer for _ in range(count) for layer in (conv(channels, channels), nn.ReLU())))


class Stage(nn.Module):
    """SRN's encoder-decoder with 3x3 kernels: `blocks` ResBlocks a level, or two plain convolutions for each."""

    def __init__(self, colours: int, memory: type[nn.Module], blocks: int = 3, residual: bool = True) -> None:
        super().__init__()

        def level(channels: int) -> nn.Sequential:
            return residual_blocks(channels, blocks) if residual else plain_layers(channels, 2 * blocks)

        self.enter32, self.encode32 = conv(2 * colours, 32), level(32)
        self.down64, self.encode64 = conv(32, 64, stride=2), level(64)
        self.down128, self.encode128 = conv(64, 128, stride=2), level(128)
        self.memory = memory(128)
        self.decode128 = level(128)
        self.up64, self.decode64 = up4(128, 64), level(64)
        self.up32, self.decode32 = up4(64, 32), level(32)
        self.leave = conv(32, colours)

    def forward(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Frame and prediction from below (B, 2 * colours, h, w) to the prediction (B, colours, h, w) and the state."""
        e32 = self.encode32(torch.relu(self.enter32(x)))
        e64 = self.encode64(torch.relu(self.down64(e32)))
        e128 = self.encode128(torch.relu(self.down128(e64)))
        features, state = self.memory(e128, fitted(state, e128, self.memory))
        d64 = self.decode64(torch.relu(self.up64(self.decode128(features))) + e64)
        return self.leave(self.decode32(torch.relu(self.up32(d64)) + e32)), state

    @torch.no_grad()
    def copy_input(self) -> None:
        """Make the prediction equal the blurry frame: its channels pass by the first skip, as in `initialise.py`."""
        colours = self.leave.out_channels
        for layer in (self.enter32, self.leave):
            copy_channels(layer, colours)
        for block in [*self.encode32, *self.decode32]:
            if isinstance(block, ResBlock):
                silence(block.second)
            elif isinstance(block, nn.Conv2d):
                copy_channels(block, colours)
        assert self.up32.bias is not None and self.leave.bias is not None
        self.up32.weight[:, :colours] = 0
        self.up32.bias[:colours] = LIFT
        self.leave.bias[:] = -LIFT


class FlatStage(nn.Module):
    """43 layers at full size, without strides or skips between them (SR-Flat, SR-RB).

    Ours, to come near the table's 2.66 million: 78 channels throughout (2,638,119); a convolution in, 20 layers (for
    SR-RB 10 ResBlocks), the ConvLSTM, 20 more, a convolution out: 43, as the paper's model has with its ConvLSTM.
    """

    def __init__(self, colours: int, residual: bool) -> None:
        super().__init__()
        half = (FLAT_LAYERS - 3) // 2

        def layers() -> nn.Sequential:
            return residual_blocks(FLAT_CHANNELS, half // 2) if residual else plain_layers(FLAT_CHANNELS, half)

        self.enter = conv(2 * colours, FLAT_CHANNELS)
        self.before = layers()
        self.memory = LSTM(FLAT_CHANNELS)
        self.after = layers()
        self.leave = conv(FLAT_CHANNELS, colours)

    def forward(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """As Stage.forward."""
        features = self.before(torch.relu(self.enter(x)))
        features, state = self.memory(features, fitted(state, features, self.memory))
        return self.leave(self.after(features)), state

    def copy_input(self) -> None:
        """Nothing: the whole frame must pass the ConvLSTM, which cannot copy it."""


def fitted(state: State | None, like: Tensor, memory: nn.Module) -> State:
    """The state of the scale below at this scale's size; zeros at the coarsest."""
    if state is None:
        return tuple(torch.zeros_like(like) for _ in range(int(memory.states)))  # type: ignore[arg-type]
    return tuple(resize(part, like.shape[-2], like.shape[-1], "torch") for part in state)


def stages(name: str, colours: int) -> list[nn.Module]:
    """The stages of the ablation called `name`, one for each scale, or one that all scales share."""
    if name in ("SR-Flat", "SR-RB"):
        return [FlatStage(colours, residual=name == "SR-RB")]
    if name == "SC":
        return [Stage(colours, NoMemory) for _ in SCALES]
    memory = {"SS": NoMemory, "woR": NoMemory, "RNN": VanillaRNN}.get(name, LSTM)
    blocks = {"SR-EDRB1": 1, "SR-EDRB2": 2}.get(name, 3)
    return [Stage(colours, memory, blocks, residual=name != "SR-ED")]


class Ablation(nn.Module):
    """One baseline of Table 1: SS, SC, woR, RNN, SR-Flat, SR-RB, SR-ED, SR-EDRB1, SR-EDRB2 or SR-EDRB3.

    SS sees one scale only (the frame stands in for the prediction from below); SC has weights of its own at each scale.
    """

    conventions: Conventions = "torch"

    def __init__(self, name: str, colours: int = 3) -> None:
        super().__init__()
        self.scales = (1,) if name == "SS" else SCALES
        self.stages = nn.ModuleList(stages(name, colours))

    def forward(self, blurry: Tensor) -> list[Tensor]:
        """(B, colours, H, W) in [0, 1] to the predictions of the scales, coarse to fine. 16 divides H and W."""
        height, width = blurry.shape[-2:]
        predictions: list[Tensor] = []
        state: State | None = None
        for place, scale in enumerate(self.scales):
            here = resize(blurry, height // scale, width // scale, "torch")
            below = predictions[-1].detach().to(blurry.dtype) if predictions else here
            below = resize(below, here.shape[-2], here.shape[-1], "torch")
            stage = self.stages[place % len(self.stages)]
            prediction, state = stage(torch.cat([here, below], dim=1), state)
            predictions.append(prediction)
        return predictions

    def copy_input(self) -> None:
        """Make every scale's prediction equal its blurry input, where the stages can (not SR-Flat and SR-RB)."""
        for stage in self.stages:
            stage.copy_input()  # type: ignore[operator]
