"""Stochastic training of the `-reg` variants (section 3.3 of the paper): a gate decides how often to iterate.

The gate lives in training only. It is dropped at inference, where a fixed number of iterations runs, and it is part
neither of the exported weights nor of the parameter count.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .network import HIDDEN, IFIRNNNetwork

TARGET = 0.75
WEIGHT = 10.0
WIDTH = 16
TEMPERATURE = 1.0


class Gate(nn.Module):
    """g(h) in {0, 1}: whether one more iteration runs.

    Global average pooling, a fully connected layer, ReLU, a fully connected layer with two scores (stop, go on), and
    a hard Gumbel-softmax sample whose gradient is the soft one's. The paper gives neither widths nor temperature:
    ours are 20 -> 16 -> 2 and 1.0, and the last layer starts at P(go on) = 0.75, the target.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Sequential(nn.Linear(HIDDEN, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2))
        with torch.no_grad():
            self.scores[2].weight.mul_(0.1)
            self.scores[2].bias.copy_(torch.tensor([1 - TARGET, TARGET]).log())

    def forward(self, hidden: Tensor) -> Tensor:
        """Hidden states (B, 20, h, w) to hard samples (B,), 0.0 or 1.0, differentiable."""
        scores = self.scores(hidden.mean(dim=(2, 3))).float()
        return F.gumbel_softmax(scores, tau=TEMPERATURE, hard=True)[:, 1]


def regularisation(gates: Tensor) -> Tensor:
    """L_reg = 1/T sum_t sum_i (E_batch[g_t^i] - tau)^2 of gates (T, N, B)."""
    return (gates.mean(dim=2) - TARGET).square().sum() / gates.shape[0]


def gated_advance(
    network: IFIRNNNetwork, gate: Gate, features: tuple[Tensor, ...], hidden: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One time-step of training: each sample of the batch stops by itself.

    After each of the iterations 1..N the gate looks at h^i. The gates of 1..N-1 decide whether one more runs; the N-th
    decides nothing but stands in L_reg, whose sum is over i = 1..N. A sample that stopped keeps its features and
    state, and its gates count as 0 from then on.

    Returns f_R (B, 80, h, w), h_t (B, 20, h, w) and the gates (N, B).
    """
    f_b, hidden = network.start(features, hidden)
    kept, hidden = network.iterate(f_b, hidden)
    running = gate(hidden)
    gates = [running]
    for _ in range(network.iterations - 1):
        f_r, state = network.iterate(f_b, hidden)
        on = running[:, None, None, None].to(f_r.dtype)
        kept, hidden = on * f_r + (1 - on) * kept, on * state + (1 - on) * hidden
        running = running * gate(hidden)
        gates.append(running)
    return kept, hidden, torch.stack(gates)
