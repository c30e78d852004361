"""OVD as a method of the harness: windows of five frames, with a state that runs through the whole clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from deblurbench.methods.base import Method, sliding

from .initialise import copy_input
from .network import FRAMES, OVDNetwork

RADIUS = FRAMES // 2
SHIFT = 0.5


class OVD(Method):
    """STRCNN+DTB; at a clip's ends the first and last frame are repeated."""

    def __init__(self, learned_beta: bool = True) -> None:
        self.network: OVDNetwork = OVDNetwork(learned_beta)

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield each frame (3, H, W) two frames after it came in."""
        for restored in self._run(frame[None] for frame in frames):
            yield restored[0].float()

    def _run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Frames (B, 3, H, W) in [0, 1], one after the other, to restored ones."""
        state = None
        for window in sliding(frames, RADIUS):
            blurry = torch.stack(window, dim=1) - SHIFT
            restored, state = self.network(blurry, state or self.network.first_state(blurry))
            yield restored + SHIFT

    def loss(self, blurry: Tensor, sharp: Tensor) -> Tensor:
        """Mean squared error over all frames of (B, T, 3, H, W)."""
        return self.content(torch.stack(list(self._run(blurry.unbind(dim=1))), dim=1), sharp)

    def initialise(self, identity: bool = False) -> None:
        """`identity: true` starts as nearly a copy of the input (see `initialise.py`); default: PyTorch's own start."""
        if identity:
            copy_input(self.network)
