"""IFI-RNN as a method of the harness: a state runs from the clip's first frame to its last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from deblurbench.errors import UsageError
from deblurbench.methods.base import RecurrentMethod, Renamed

from .adopting import holds_one_cell, two_cells_from_one
from .composed import Ends
from .gate import WEIGHT, Gate, gated_advance, regularisation
from .initialise import copy_input
from .names import from_public_port
from .network import HIDDEN, IFIRNNNetwork

SHIFT = 0.5
LAYERS = 0.125  # share of the training steps that run F_B and F_L layer by layer


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

        F_B and F_L are composed and see all frames at once; in LAYERS of all calls they are run layer by layer, so that
        the borders of frames, where the two differ, are learnt as well (see `composed.py`).

        Returns "total", "content", and for `-reg` "regularisation" and "gate", the mean gate activation.
        """
        network, length = self.network, blurry.shape[1]
        frames = blurry.transpose(0, 1).flatten(0, 1) - SHIFT
        ends = None if float(torch.rand(())) < LAYERS else Ends((cell.F_B for cell in network.cells), network.F_L)
        features = ends.features(frames) if ends else network.blur_features(frames)
        joint, gates = self._unroll([part.chunk(length) for part in features])
        restored = ends.frame(joint) if ends else network.F_L(joint)
        restored = (restored.float() + frames if network.skip else restored.float()) + SHIFT
        content = self.content(restored.unflatten(0, (length, -1)).transpose(0, 1), sharp)
        if not gates:
            return {"total": content, "content": content}
        penalty = regularisation(torch.stack(gates))
        return {
            "total": content + WEIGHT * penalty,
            "content": content,
            "regularisation": penalty,
            "gate": torch.stack(gates).mean(),
        }

    def _unroll(self, features: list[tuple[Tensor, ...]]) -> tuple[Tensor, list[Tensor]]:
        """Blur features by cell and frame, each (B, 60, h, w), to joint features (T B, 80, h, w), and the gates."""
        batch, _, height, width = features[0][0].shape
        hidden = features[0][0].new_zeros(batch, HIDDEN, height, width).contiguous(memory_format=torch.channels_last)
        joint, gates = [], []
        for now in zip(*features, strict=True):
            if isinstance(self.training_only, Gate):
                f_r, hidden, gate = gated_advance(self.network, self.training_only, now, hidden)
                gates.append(gate)
            else:
                f_r, hidden = self.network.advance(now, hidden)
            joint.append(f_r)
        return torch.cat(joint), gates

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
