"""RDN as a method of the harness: each frame is restored from itself and the four frames before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from deblurbench.methods.base import Method
from deblurbench.methods.layers import silence

from .network import Conventions, RDNNetwork

PAST = 4


class RDN(Method):
    """The network runs PAST times for each frame, over ever older frames. At a clip's start the first is repeated.

    `conventions: tf` pads strided convolutions as the authors' TensorFlow release does.
    """

    def __init__(self, conventions: Conventions = "torch") -> None:
        self.network: RDNNetwork = RDNNetwork(conventions)

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield each frame (3, H, W) as soon as it came in."""
        seen: deque[Tensor] = deque(maxlen=PAST + 1)
        for frame in frames:
            seen.extend([frame[None]] * (1 if seen else PAST + 1))
            yield self.estimates(seen)[-1][0].float()

    def estimates(self, frames: Sequence[Tensor]) -> list[Tensor]:
        """PAST + 1 frames (B, 3, H, W) in [0, 1] to the estimates of the last one, one a step, the best last."""
        observations = [2 * frame - 1 for frame in frames]
        estimate, skips = observations[-1], None
        estimates = []
        for observation in observations[-2::-1]:
            estimate, skips = self.network(observation, estimate, skips)
            estimates.append((estimate + 1) / 2)
        return estimates

    def loss(self, blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Sum over the steps of the mean squared error of the last frame of (B, T, 3, H, W); "last" is the last step's.

        Clips of fewer than 5 frames are lengthened by their first.
        """
        frames = list(blurry.unbind(dim=1))[-PAST - 1 :]
        frames = [frames[0]] * (PAST + 1 - len(frames)) + frames
        errors = [self.content(estimate, sharp[:, -1]) for estimate in self.estimates(frames)]
        return {"total": torch.stack(errors).sum(), "last": errors[-1]}

    def initialise(self, identity: bool = False) -> None:
        """`identity: true` starts with corrections of zero, by the last batch normalisation's scale."""
        if identity:
            silence(self.network.leave[-1][-1])
