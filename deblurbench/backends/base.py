"""A method that runs in a process that is not ours: under a Python of its own, or as a command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from deblurbench.methods.base import Method

if TYPE_CHECKING:
    from torch import Tensor


class Elsewhere(Method):
    """Base of methods that restore in another process.

    `restore` gets padded frames (3, H, W) float32 on the CPU, whatever the run's device, and yields such frames.
    Device, precision and tiles are that process's business, and so is the time: `seconds` is what the last frame took
    there.
    """

    seconds: float = 0.0
    parameters: int | None = None
    random: bool = False  # its network was given no weights and makes none of its own
    outside: Sequence[str] = ()  # where it holds random parameters that are not in its network
    radius: int | None = None  # of its window, where its class is a WindowMethod
    peak_memory: int | None = None
    versions: dict[str, str]  # of the other process's Python and packages, for run.json

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield one restored frame for every frame of the clip, in order."""
        raise NotImplementedError

    def close(self) -> None:
        """End the process, if there is one. May be called twice."""
        raise NotImplementedError


class FailedElsewhere(Exception):
    """What went wrong in the other process: a short kind, one sentence, and its traceback where it told one."""

    def __init__(self, kind: str, reason: str, traceback: str = "") -> None:
        super().__init__(reason)
        self.kind, self.reason, self.traceback = kind, reason, traceback
