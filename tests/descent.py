"""One check that every learned method's tests make: that its loss leads downhill."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def losses_over_steps(method: Any, blurry: Tensor, sharp: Tensor, *, rate: float, steps: int = 3) -> list[float]:
    """The loss before each of `steps` steps of Adam on one batch (B, T, 3, h, w)."""
    optimiser = torch.optim.Adam(method.network.parameters(), rate)
    losses = []
    for _ in range(steps):
        loss = method.loss(blurry, sharp)
        total = loss["total"] if isinstance(loss, dict) else loss
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    return losses
