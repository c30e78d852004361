"""IFI-RNN as a method of the harness: a state runs from the clip's first frame to its last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from deblurbench.errors import UsageError
from deblurbench.methods.base import RecurrentMethod, Renamed

from .adopting import holds_one_cell, two_cells_from_one
from .gate import WEIGHT, Gate, gated_step, regularisation
from .initialise import copy_input
from .names import from_public_port
from .network import IFIRNNNetwork

SHIFT = 0.5


class IFIRNN(RecurrentMethod):
    """IFI-RNN with `cells` cells (C1, C2) and `iterations` iterations (H1..H4); `regularised` trains with a gate.

    `skip` adds the blurry frame to the prediction: not the paper's network, but quick to train. The state is carried
    through the whole clip, never reset within it.
    """

    def __init__(self, cells: int = 1, iterations: int = 1, regularised: bool = False, skip: bool = False) -> None:
        self.network: IFIRNNNetwork = IFIRNNNetwork(cells, iterations, skip)
        self.training_only = Gate() if regularised else None

    def step(self, frame: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """(3, H, W) in [0, 1] and h_{t-1} (None at the clip's start) to the restored frame and h_t."""
        blurry = frame[None] - SHIFT
        hidden = self.network.first_state(blurry) if state is None else state
        restored, hidden = self.network(blurry, hidden)
        return restored[0].float() + SHIFT, hidden

    def loss(self, blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Mean squared error over (B, T, 3, H, W); for `-reg` variants plus 10 * L_reg (section 3.3).

        Returns "total", "content", and for `-reg` "regularisation" and "gate", the mean gate activation.
        """
        hidden = self.network.first_state(blurry[:, 0])
        errors, gates = [], []
        for t in range(blurry.shape[1]):
            if isinstance(self.training_only, Gate):
                restored, hidden, gate = gated_step(self.network, self.training_only, blurry[:, t] - SHIFT, hidden)
                gates.append(gate)
            else:
                restored, hidden = self.network(blurry[:, t] - SHIFT, hidden)
            errors.append(self.content(restored.float() + SHIFT, sharp[:, t]))
        content = torch.stack(errors).mean()
        if not gates:
            return {"total": content, "content": content}
        penalty = regularisation(torch.stack(gates))
        return {
            "total": content + WEIGHT * penalty,
            "content": content,
            "regularisation": penalty,
            "gate": torch.stack(gates).mean(),
        }

    def initialise(self, identity: bool = False, residual: float = 0.0) -> None:
        """`identity: true` starts the network as a copy of its input (see `initialise.py`); default: PyTorch's own."""
        if identity:
            copy_input(self.network, residual)

    def adopt(self, weights: dict[str, Tensor], parameters: Mapping[str, Any]) -> dict[str, Tensor]:
        """One cell's weights as two cells that compute the same (see `adopting.py`); all others as they are.

        Variants with as many cells share their weights: the number of iterations and the gate change none. Those with
        and without the skip do not: one predicts the frame, the other what is added to it.
        """
        if parameters and bool(parameters.get("skip")) != self.network.skip:
            raise UsageError("weights trained with a skip start no network without one, nor the other way round")
        if len(self.network.cells) == 2 and holds_one_cell(weights):
            return two_cells_from_one(weights)
        return weights

    def rename(self, foreign: dict[str, Tensor]) -> Renamed:
        """Weights of the public port of two cells as ours."""
        return from_public_port(foreign, self.network.iterations, regularised=self.training_only is not None)
