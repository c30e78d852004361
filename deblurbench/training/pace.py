"""Where the time of a training goes: into the model's computation, into waiting for data, into neither.

On a CPU the model computes while the thread that steps is on a core, which the system counts (`time.thread_time`): what
the threads that make batches, or other programs, take of the cores is not counted, even where the step never waits for
a batch. With several CPU threads the stepping thread takes part in all of the model's parallel work, and stands for it.
On a GPU no such count exists; there the model counts as computing whenever the step does not wait for a batch, and
kernels that make batches on the same device lie within that share.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from deblurbench.text import counted
from deblurbench.training.sources import Ahead


@dataclass
class Spent:
    """Seconds of training and what they went into; `steps` were taken in them. Earlier parts of a run are in it."""

    steps: int = 0
    seconds: float = 0.0
    computed: float = 0.0
    waited: float = 0.0

    def shares(self) -> dict[str, float]:
        """Shares of the time in which the model computed, and in which it waited for data; empty before any step."""
        if not self.seconds:
            return {}
        return {
            "compute_share": round(min(1.0, self.computed / self.seconds), 4),
            "data_share": round(self.waited / self.seconds, 4),
        }


@dataclass
class Sums:
    """Sums of the loss's parts over `count` steps, since their means were last asked for."""

    parts: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, parts: dict[str, float]) -> None:
        """One step's parts."""
        for key, value in parts.items():
            self.parts[key] = self.parts.get(key, 0.0) + value
        self.count += 1

    def means(self) -> dict[str, float]:
        """Means of the parts; the sums begin anew."""
        means = {key: value / self.count for key, value in self.parts.items()}
        self.parts, self.count = {}, 0
        return means


class Pace:
    """Times steps into `total`, and says how they went since last asked."""

    def __init__(self, total: Spent, ahead: Ahead, device: str) -> None:
        self._total, self._ahead, self._cpu = total, ahead, device == "cpu"
        self._mark = replace(total)
        self.last = 0.0
        """Seconds of the last step."""

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around one step, the wait for its batch included."""
        wall, own, waited = time.monotonic(), time.thread_time(), self._ahead.waited
        yield
        self.last, waited = time.monotonic() - wall, self._ahead.waited - waited
        self._total.steps += 1
        self._total.seconds += self.last
        self._total.waited += waited
        self._total.computed += time.thread_time() - own if self._cpu else self.last - waited

    def figures(self) -> dict[str, float]:
        """Steps a second and the shares of the time, since the last call."""
        now, before = self._total, self._mark
        since = Spent(*(getattr(now, key) - getattr(before, key) for key in vars(now)))
        self._mark = replace(now)
        return {"steps_per_s": since.steps / max(since.seconds, 1e-9), **since.shares()}


def spent(total: Spent) -> str:
    """One line about a finished training."""
    shares = total.shares()
    if not shares:
        return "no step was taken"
    return (
        f"{counted(total.steps, 'step')} in {total.seconds / 60:.1f} minutes: the model computed for "
        f"{shares['compute_share']:.0%} of the time and waited for data for {shares['data_share']:.0%}"
    )
