"""Random draws whose values never change with a library's version.

NumPy keeps the raw bits of PCG64 and SeedSequence stable, but not the distributions of Generator; these are our own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


class Dice:
    """A stream of draws decided by a tuple of non-negative integers, e.g. (seed, step, item)."""

    def __init__(self, *key: int) -> None:
        self.key = key
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A float in [low, high)."""
        return low + (high - low) * (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def log_uniform(self, low: float, high: float) -> float:
        """A float in [low, high) whose logarithm is uniform; both ends positive."""
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def bell(self) -> float:
        """About a standard normal number: the sum of twelve uniform ones less six, so within 6."""
        return sum(self.uniform() for _ in range(12)) - 6.0

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return min(high, low + int(self.uniform(0, high - low + 1)))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self.integer(0, len(items) - 1)]
