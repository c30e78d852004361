"""The GOPRO recipe: one blurry frame is the mean of consecutive high-speed frames.

`linear`: the plain mean of the encoded values (GOPRO's `blur` folder). `gamma`: (mean x^2.2)^(1/2.2), which
approximates a mean of light (`blur_gamma`). Source: Nah et al., CVPR 2017, section 3, and the released folders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deblurbench.errors import UsageError
from deblurbench.frames.convert import Frame8

if TYPE_CHECKING:
    from torch import Tensor

Kind: TypeAlias = Literal["gamma", "linear"]
GAMMA = 2.2
_LIGHT = (np.arange(256) / 255.0) ** GAMMA


class Exposure:
    """An open shutter: 8-bit frames go in one by one, one 8-bit mean comes out. Holds one float64 frame.

    Sums are float64 in the order of the frames, and the result is rounded half to even, so the same frames give the
    same bytes everywhere.
    """

    def __init__(self, kind: Kind) -> None:
        if kind not in ("gamma", "linear"):
            raise UsageError(f"unknown kind of exposure {kind!r}; allowed: 'gamma', 'linear'")
        self.kind = kind
        self.count = 0
        self._sum: NDArray[np.float64] | None = None

    def add(self, frame: Frame8) -> None:
        """Let in one frame, uint8 (H, W, 3)."""
        light = _LIGHT[frame] if self.kind == "gamma" else frame.astype(np.float64)
        self._sum = light if self._sum is None else self._sum + light
        self.count += 1

    def result(self) -> Frame8:
        """Close the shutter: the mean of what came in, uint8 (H, W, 3).

        Raises:
            UsageError: no frame was added.
        """
        if self._sum is None:
            raise UsageError("an exposure needs at least one frame; none was added")
        mean = self._sum / self.count
        encoded = mean ** (1 / GAMMA) * 255.0 if self.kind == "gamma" else mean
        return np.rint(encoded).clip(0, 255).astype(np.uint8)


def average(frames: Tensor, kind: Kind, dim: int = 1) -> Tensor:
    """Mean of float frames in [0, 1] along `dim`, by the same two formulas; not rounded."""
    if kind == "linear":
        return frames.mean(dim)
    return frames.pow(GAMMA).mean(dim).pow(1 / GAMMA)


def quantise(frames: Tensor) -> Tensor:
    """Float frames as an 8-bit file would give them back: clamped to [0, 1] and rounded to multiples of 1/255."""
    return frames.clamp(0, 1).mul(255.0).round().div(255.0)
