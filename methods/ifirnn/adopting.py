"""Start two cells from the weights of one.

The second cell and F_L take the one cell's weights. The first cell is made to hand the hidden state on unchanged:
its ResBlocks begin as x + 0, and F_h's convolutions pick the state out of the joint features. So the two-cell network
begins as the one-cell network at the same number of iterations, exactly, and learns from there what the first cell is
good for: F_B and the ResBlocks' first convolutions are the one cell's, and what starts at zero receives gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deblurbench.methods.layers import pick, silence

from .network import FEATURES, HIDDEN, Cell, IFIRNNNetwork, ResBlock


def two_cells_from_one(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A one-cell network's weights as those of a two-cell network that computes the same."""
    network = IFIRNNNetwork(cells=2)
    one = {name: tensor for name, tensor in weights.items() if name.startswith("cells.0.")}
    second = {name.replace("cells.0.", "cells.1.", 1): tensor for name, tensor in one.items()}
    network.load_state_dict({**weights, **second})
    first = network.cells[0]
    assert isinstance(first, Cell)
    hand_state_on(first)
    return network.state_dict()


@torch.no_grad()
def hand_state_on(cell: Cell) -> None:
    """Make F_h(F_R(f_B, h)) = h, whatever f_B is, in place."""
    for block in (*cell.F_R, cell.F_h[1]):
        assert isinstance(block, ResBlock)
        silence(block.second)
    for layer, source in ((cell.F_h[0], FEATURES), (cell.F_h[2], 0)):
        assert isinstance(layer, torch.nn.Conv2d)
        pick(layer, [(channel, source + channel, 1, 1) for channel in range(HIDDEN)])


def holds_one_cell(weights: dict[str, Tensor]) -> bool:
    """Whether these are the weights of a whole one-cell network, of whatever values."""
    return {k: v.shape for k, v in weights.items()} == {k: v.shape for k, v in IFIRNNNetwork().state_dict().items()}
