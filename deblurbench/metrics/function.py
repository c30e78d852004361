"""Metrics as functions of frames and clips, for use from Python."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from deblurbench import metrics
from deblurbench.errors import UsageError
from deblurbench.metrics.base import Metric


class MetricFunction:
    """A metric that is called on frames or clips. `card` describes it: unit, direction, version, citation."""

    def __init__(self, card: Metric, device: str) -> None:
        self.card, self.device = card, device

    @cached_property
    def _loaded(self) -> Any:
        return self.card.load(self.device if self.card.uses_network else "cpu")

    def __call__(self, restored: Any, sharp: Any = None) -> float:
        """The metric of restored frames against the ground truth.

        Args:
            restored: uint8 (H, W, 3) RGB; or a clip, (T, H, W, 3) or a sequence of frames.
            sharp: the ground truth in the same form; None for a metric without reference.

        Returns:
            A frame's value, or a clip's: the mean over its frames, for a clip-level metric its one value.

        Raises:
            UsageError: a single frame for a clip-level metric, or clips of unlike length.
            ValueError: frames of another type or shape, or smaller than the metric can take.
        """
        single = getattr(restored, "ndim", 0) == 3
        if self.card.level == "frame" and single:
            return float(self._loaded(restored, sharp))
        if single:
            raise UsageError(f"metric {self.card.id!r} is computed over a clip: give (T, H, W, 3) or a list of frames")
        truths: Sequence[Any] = [None] * len(restored) if sharp is None else sharp
        if not len(restored) or len(truths) != len(restored):
            raise UsageError(f"metric {self.card.id!r}: {len(restored)} restored and {len(truths)} sharp frames")
        if self.card.level == "frame":
            return sum(float(self._loaded(*pair)) for pair in zip(restored, truths, strict=True)) / len(restored)
        clip = self._loaded()
        for pair in zip(restored, truths, strict=True):
            clip.add(*pair)
        return float(clip.result())


def metric(name: str, *, device: str = "cpu") -> MetricFunction:
    """A metric by its id, to be called on frames.

    >>> import numpy as np
    >>> frame = np.full((16, 16, 3), 100, np.uint8)
    >>> metric("psnr")(frame + np.uint8(1), frame).__round__(2)
    48.13

    Raises:
        UsageError: no such metric; the nearest name is given. MissingError: when called, if its weights are missing.
    """
    return MetricFunction(metrics.metric(name), device)
