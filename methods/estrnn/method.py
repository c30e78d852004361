"""ESTRNN as a method of the harness: the cell runs through the clip, two frames ahead of the reconstruction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from deblurbench.methods.base import Method, Renamed, sliding

from .initialise import copy_input
from .names import from_release
from .network import RADIUS, ESTRNNNetwork

SHIFT = 0.5


class ESTRNN(Method):
    """ESTRNN with `blocks` residual dense blocks. The state runs through the whole clip.

    At the ends the features of the first and last frame are repeated; the paper does not restore these frames.
    """

    def __init__(self, blocks: int = 9) -> None:
        self.network: ESTRNNNetwork = ESTRNNNetwork(blocks)

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield each frame (3, H, W) two frames after it came in."""
        for restored in self._run(frame[None] for frame in frames):
            yield restored[0].float()

    def _run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Frames (B, 3, H, W) in [0, 1], one after the other, to restored ones."""
        for window in sliding(self._features(frames), RADIUS):
            yield self.network(window) + SHIFT

    def _features(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        hidden = None
        for frame in frames:
            hidden = self.network.first_state(frame) if hidden is None else hidden
            features, hidden = self.network.cell(frame - SHIFT, hidden)
            yield features

    def loss(self, blurry: Tensor, sharp: Tensor) -> Tensor:
        """Mean squared error over all frames of (B, T, 3, H, W)."""
        return self.content(torch.stack(list(self._run(blurry.unbind(dim=1))), dim=1), sharp)

    def initialise(self, identity: bool = False) -> None:
        """`identity: true` starts as a copy of the input (see `initialise.py`); default: PyTorch's own start."""
        if identity:
            copy_input(self.network)

    def rename(self, foreign: dict[str, Tensor]) -> Renamed:
        """The authors' release's weights under our names (see `names.py`)."""
        return from_release(foreign)
