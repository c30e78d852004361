"""What methods share whose network takes one blurry frame to the restored one. Imports torch: only plugins use it."""

from __future__ import annotations

from torch import Tensor, nn  # noqa: TID253  (nothing that lists or shows plugins imports this module)

from deblurbench.methods.base import FrameMethod
from deblurbench.methods.layers import silence


class ImageNetworkMethod(FrameMethod):
    """A network (B, 3, H, W) to (B, 3, H, W) in [0, 1], which adds a correction to its input.

    `correction` is the layer that the correction comes out of; None where the network adds nothing to its input.
    """

    def __init__(self, network: nn.Module, correction: nn.Module | None) -> None:
        self.network: nn.Module = network
        self._correction = correction

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) blurry to (3, H, W) restored."""
        restored: Tensor = self.network(frame[None])[0]
        return restored.float()

    def loss(self, blurry: Tensor, sharp: Tensor) -> Tensor:
        """The content term; every frame of (B, T, 3, H, W) is a sample."""
        return self.content(self.network(blurry.flatten(0, 1)), sharp.flatten(0, 1))

    def initialise(self, identity: bool = False) -> None:  # type: ignore[override]  # names its one setting
        """`identity: true` starts with a correction of zero (no effect without one); default: PyTorch's own start."""
        if identity and self._correction is not None:
            silence(self._correction)
