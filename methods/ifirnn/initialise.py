"""Start IFI-RNN as the identity, within its own layers.

The paper's network has no image skip: from random weights it spends thousands of steps on learning to copy its input.
But copying can be written exactly into its layers: F_B's strided convolutions sort the pixels of a 4x4 block into 48
of the 60 channels, the ResBlocks of F_R begin as x + 0, and F_L's transposed convolutions put the pixels back. The
architecture is unchanged; only the starting point is ours, for short training runs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .network import IFIRNNNetwork

COLOURS = 3


@torch.no_grad()
def copy_input(network: IFIRNNNetwork, residual: float = 0.0) -> None:
    """Make L_t equal B_t to float32 rounding for any hidden state, in place.

    Channels that the copy does not use keep their random start; the weights by which they would reach the frame start
    at zero (and receive gradients). `residual` scales the last convolution of F_R's ResBlocks: 0 copies exactly.
    """
    if network.skip:  # the copy is added at the end: what F_L predicts starts at zero
        weight, bias = _parameters(network.F_L[2])
        weight.zero_()
        bias.zero_()
        return
    cell = network.cells[-1]
    _pick(cell.F_B[0], [(c, c, 2, 2) for c in range(COLOURS)])
    _pick(cell.F_B[1], _unshuffle(COLOURS))
    _pick(cell.F_B[2], _unshuffle(4 * COLOURS))
    for block in cell.F_R:
        block.second.weight.mul_(residual)
        block.second.bias.mul_(residual)
    _place(network.F_L[0], 4 * COLOURS)
    _place(network.F_L[1], COLOURS)
    _pick(network.F_L[2], [(c, c, 2, 2) for c in range(COLOURS)])


def _unshuffle(channels: int) -> list[tuple[int, int, int, int]]:
    """(output, input, row tap, column tap) of a stride-2 5x5 convolution, padding 2, that sorts 2x2 blocks."""
    return [(4 * c + 2 * dy + dx, c, 2 + dy, 2 + dx) for c in range(channels) for dy in (0, 1) for dx in (0, 1)]


def _pick(conv: nn.Module, taps: list[tuple[int, int, int, int]]) -> None:
    """Let the outputs named in `taps` read one input pixel each, and nothing else."""
    weight, bias = _parameters(conv)
    for out, source, row, column in taps:
        weight[out] = 0
        weight[out, source, row, column] = 1
        bias[out] = 0


def _place(conv: nn.Module, channels: int) -> None:
    """Let the first `channels` outputs of a transposed 3x3 convolution (stride 2) undo `_unshuffle`.

    With padding 1, tap k of input i lands on output 2 i - 1 + k: tap 1 on even positions, tap 2 on odd ones.
    """
    weight, bias = _parameters(conv)
    weight[:, :channels] = 0
    bias[:channels] = 0
    for out, source, row, column in _unshuffle(channels):
        weight[out, source, row - 1, column - 1] = 1


def _parameters(conv: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and conv.bias is not None
    return conv.weight, conv.bias
