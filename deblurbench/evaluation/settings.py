"""What restoring a clip is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from deblurbench.frames.convert import Frame8
from deblurbench.metrics import metric

Timing: TypeAlias = tuple[str, float, bool]
"""A frame's stem, the seconds that restoring it took, and whether they count as warm-up."""


@dataclass(frozen=True)
class Settings:
    """How a clip is restored and scored. `metrics` maps ids to functions (frame) or factories' objects (clip).

    `networks` are those frame metrics that compute on the restoring device itself. They take turns with the restoring:
    beside it they would lengthen its time, and change torch's global precision flags under it. `trains_on`: the network
    is trained further, so that it must keep no inference tensors.
    """

    device: str
    precision: str = "fp32"
    tile: int | None = None
    multiple_of: int = 1
    window: int = 0
    warmup: int = 1
    trains_on: bool = False
    metrics: Mapping[str, Callable[[Frame8, Frame8], float]] = field(default_factory=dict)
    networks: Mapping[str, Callable[[Frame8, Frame8], float]] = field(default_factory=dict)
    no_reference: Mapping[str, Callable[[Frame8, None], float]] = field(default_factory=dict)
    clip_metrics: Mapping[str, Any] = field(default_factory=dict)

    def for_frames_of(self, size: tuple[int, int] | None) -> Settings:
        """The same without the metrics that cannot be computed on frames of (width, height) pixels."""

        def fitting(functions: Mapping[str, Any]) -> dict[str, Any]:
            return {name: function for name, function in functions.items() if metric(name).fits(size)}

        return replace(
            self,
            metrics=fitting(self.metrics),
            networks=fitting(self.networks),
            no_reference=fitting(self.no_reference),
            clip_metrics=fitting(self.clip_metrics),
        )


@dataclass
class ClipResult:
    """What came out of one pass. Frames are named by their stems."""

    scores: list[tuple[str, str, float]] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    clipped: float = 0.0
    frames_sha256: str = ""
    sharp_sha256: str = ""
    saved: list[str] = field(default_factory=list)
    peak: int = 0  # bytes of a GPU's memory, see _Clock
    swapped: bool = False  # restored frames fit the ground truth better with red and blue changed over
    identical: bool = False  # a scored frame equals the ground truth exactly
