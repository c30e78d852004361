"""The blurry frame itself: what a method must beat."""

from __future__ import annotations

from torch import Tensor

from deblurbench.methods.base import FrameMethod


class Identity(FrameMethod):
    """Returns every frame as it came."""

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) blurry to the same (3, H, W)."""
        return frame
