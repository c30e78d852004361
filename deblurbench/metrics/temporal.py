"""Metrics of motion over a clip: flicker and wrong motion that no single frame shows.

The optical flow is OpenCV's DIS (Kroeger et al., ECCV 2016, preset medium) on grey frames: it needs no download and is
deterministic. Papers use other flows (Farneback, RAFT, FlowNet2), so these numbers compare methods with one another
here, not with papers. Frames are scored in the order in which they are added; pairs are neighbouring scored frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deblurbench.frames.convert import Frame8
from deblurbench.metrics.base import ClipFunction
from deblurbench.metrics.checks import check_pair

Flow = NDArray[np.float32]
SMALLEST = 32


class _Pairs:
    """Feeds neighbouring frames to `pair` and averages what it returns; nan for clips of one frame."""

    def __init__(self) -> None:
        self.last: tuple[Frame8, Frame8] | None = None
        self.total = 0.0
        self.count = 0

    def add(self, restored: Frame8, sharp: Frame8) -> None:
        """Take the next scored frame, uint8 (H, W, 3) RGB, and its ground truth."""
        now = check_pair(restored, sharp, SMALLEST)
        if self.last is not None:
            if self.last[0].shape != now[0].shape:
                raise ValueError(f"frames of a clip differ in size: {self.last[0].shape}, then {now[0].shape}")
            value = self.pair(self.last, now)
            if not math.isnan(value):
                self.total += value
                self.count += 1
        self.last = (now[0].copy(), now[1].copy())

    def pair(self, before: tuple[Frame8, Frame8], now: tuple[Frame8, Frame8]) -> float:
        """The value of two neighbouring (restored, sharp) frames; nan where there is none: it does not count."""
        raise NotImplementedError

    def result(self) -> float:
        """The mean over the pairs so far."""
        return self.total / self.count if self.count else math.nan


class TemporalPSNR(_Pairs):
    """PSNR of frame differences: how much the restored clip flickers against the sharp one.

    10 log10(255^2 / mean over pairs of MSE((r_t - r_{t-1}) - (s_t - s_{t-1}))) in dB.
    """

    def pair(self, before: tuple[Frame8, Frame8], now: tuple[Frame8, Frame8]) -> float:
        """The mean squared difference of the two changes."""
        changes = [new.astype(np.int32) - old for new, old in zip(now, before, strict=True)]
        return float(np.square(changes[0] - changes[1]).mean(dtype=np.float64))

    def result(self) -> float:
        """In dB; inf for identical clips."""
        error = super().result()
        return math.inf if error == 0 else 10 * math.log10(255**2 / error) if self.count else math.nan


class FlowDifference(_Pairs):
    """tOF: mean length, in pixels, of the difference of the restored and the sharp clip's optical flow."""

    def pair(self, before: tuple[Frame8, Frame8], now: tuple[Frame8, Frame8]) -> float:
        """The mean endpoint difference of the two flows."""
        restored, sharp = (flow(old, new) for old, new in zip(before, now, strict=True))
        return float(np.linalg.norm(restored - sharp, axis=2).mean(dtype=np.float64))


class WarpingError(_Pairs):
    """How much the restored frame differs from its predecessor, moved along the sharp clip's flow.

    Mean squared difference in [0, 1] over the pixels that are not hidden: those where the flow and the flow back agree,
    |f + b|^2 <= 0.01 (|f|^2 + |b|^2) + 0.5. (Lai et al. 2018 also leave out motion boundaries; this does not.)
    """

    def pair(self, before: tuple[Frame8, Frame8], now: tuple[Frame8, Frame8]) -> float:
        """The masked error of one pair; nan where no pixel is visible in both."""
        back, forth = flow(now[1], before[1]), flow(before[1], now[1])
        height, width = back.shape[:2]
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2).astype(np.float32)
        at = grid + back
        warped, returned = _pull(before[0].astype(np.float32), at), _pull(forth, at)
        disagreement = np.square(back + returned).sum(axis=2)
        allowed = 0.01 * (np.square(back).sum(axis=2) + np.square(returned).sum(axis=2)) + 0.5
        inside = ((at >= 0) & (at <= (width - 1, height - 1))).all(axis=2)
        visible = inside & (disagreement <= allowed)
        errors = np.square((now[0] - warped) / 255).mean(axis=2, dtype=np.float64)
        return float(errors[visible].mean()) if visible.any() else math.nan


def _pull(values: NDArray[np.float32], at: NDArray[np.float32]) -> NDArray[np.float32]:
    """`values` (H, W, C) at the positions `at` (H, W, 2), bilinear, borders repeated."""
    import cv2

    x, y = np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
    pulled = cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(pulled, dtype=np.float32)


def flow(first: Frame8, second: Frame8) -> Flow:
    """Optical flow from one frame to the next, (H, W, 2) float32: x and y in pixels."""
    import cv2

    algorithm: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first, second)]
    return np.asarray(algorithm.calc(grey[0], grey[1], None), dtype=np.float32)


def load_tpsnr(device: str) -> Callable[[], ClipFunction]:
    """A new `TemporalPSNR` for each clip."""
    return TemporalPSNR


def load_tof(device: str) -> Callable[[], ClipFunction]:
    """A new `FlowDifference` for each clip."""
    return FlowDifference


def load_warp_error(device: str) -> Callable[[], ClipFunction]:
    """A new `WarpingError` for each clip."""
    return WarpingError
