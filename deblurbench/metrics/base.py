"""What a metric is: its description, which is read everywhere, and its function, which is loaded where it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from deblurbench.frames.convert import Frame8

FrameFunction: TypeAlias = Callable[..., float]
"""(restored, sharp), both uint8 (H, W, 3) RGB, to a float. Safe to call from several threads at once."""


class ClipFunction(Protocol):
    """A metric over the frames of one clip, fed in order."""

    def add(self, restored: Frame8, sharp: Frame8) -> None:
        """Take the next scored frame, uint8 (H, W, 3) RGB, and its ground truth."""

    def result(self) -> float:
        """The metric over the frames added so far; nan where there were too few."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric's description, one row of the table in `deblurbench.metrics`.

    `version` rises whenever a number of this metric could change: results carry it, and stored ones of another version
    are computed again. `best` is the value on identical frames (nan where there is none), `twin` the implementation
    whose numbers it equals, `decimals` what tables show, `default` whether it is computed when the user names no
    metrics, `entry` module:function of its loader in this package. `uses_network`: it runs a network on the run's
    device in float32, so its last digits depend on the device. `min_size`: the shortest side of a frame that it takes,
    in pixels: its window, or what its network leaves a value of. `needs_files`: it needs weights or a program that a
    plain installation lacks; the module's `is_here(id)` looks for them.
    """

    id: str
    version: int
    title: str
    unit: str
    higher_is_better: bool
    best: float
    decimals: int
    citation: str
    twin: str
    entry: str = field(repr=False)
    level: Literal["frame", "clip"] = "frame"
    needs_reference: bool = True
    min_size: int = 1
    uses_network: bool = False
    needs_files: bool = False
    default: bool = False

    def fits(self, size: tuple[int, int] | None) -> bool:
        """Whether it can be computed on frames of (width, height) pixels; of an unknown size it is taken to."""
        return size is None or min(size) >= self.min_size

    @property
    def code(self) -> str:
        """sha256 over the code of a metric from a plugin; empty for a built-in one, which `version` identifies."""
        return ""

    def is_here(self) -> bool:
        """Whether the files that the metric needs seem to be on this machine; decided without importing torch."""
        if not self.needs_files:
            return True
        module = importlib.import_module(f"deblurbench.metrics.{self.entry.partition(':')[0]}")
        present: bool = module.is_here(self.id)
        return present

    def load(self, device: str = "cpu") -> Any:
        """Import what the metric needs and return its function.

        Frame-level: a `FrameFunction`. Clip-level: a factory without arguments, called once for each clip, that
        returns a `ClipFunction`. Loops are compiled here, not at the first frame.

        Args:
            device: torch's name of a device; only the network-based metrics use it.

        Raises:
            MissingError: weights are not on this machine; the message says how to get them.
        """
        module, _, name = self.entry.partition(":")
        return getattr(importlib.import_module(f"deblurbench.metrics.{module}"), name)(device)
