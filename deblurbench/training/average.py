"""An exponential moving average of a network's weights: steadier than the last step's, above all in short runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Averaged weights; the decay rises from 0.1 towards its final value, so that the start is forgotten soon."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after step `step` (from 0). Integers (batch normalisation's counter) are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        pairs = [(self.weights[key], value) for key, value in network.state_dict().items()]
        floating = [(mine, value) for mine, value in pairs if mine.is_floating_point()]
        if floating:
            averages, values = (list(side) for side in zip(*floating, strict=True))
            torch._foreach_lerp_(averages, values, 1 - decay)
        for mine, value in pairs:
            if not mine.is_floating_point():
                mine.copy_(value)

    @contextmanager
    def inside(self, network: nn.Module) -> Iterator[None]:
        """Within the block, the network has the averaged weights."""
        own = {k: v.detach().clone() for k, v in network.state_dict().items()}
        network.load_state_dict(self.weights)
        try:
            yield
        finally:
            network.load_state_dict(own)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Put back weights of a checkpoint."""
        for key, value in weights.items():
            self.weights[key].copy_(value)
