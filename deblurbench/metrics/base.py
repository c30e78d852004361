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


@dataclass(frozen=True)
class Metric:
    """A metric's description.

    `best` is its value on identical frames, `twin` the implementation whose numbers it equals, `decimals` what tables
    show, `default` whether it is computed when the user names no metrics, `entry` where its loader is. `version`
    rises whenever a number could change; results carry it.
    """

    id: str
    version: int
    unit: str
    higher_is_better: bool
    level: Literal["frame", "clip"]
    needs_reference: bool
    best: float
    title: str
    citation: str
    twin: str
    default: bool
    decimals: int
    entry: str = field(repr=False, default="")

    @property
    def uses_network(self) -> bool:
        """Whether it runs a network: on the run's device, in float32, so that its last digits depend on the device."""
        return self.id.startswith(("lpips", "dists"))

    def is_here(self) -> bool:
        """Whether what the metric needs seems to be on this machine; found out without torch."""
        if not self.uses_network and self.id != "vmaf":
            return True
        module = importlib.import_module(f"deblurbench.metrics.{self.entry.partition(':')[0]}")
        found: bool = module.is_here(self.id)
        return found

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
