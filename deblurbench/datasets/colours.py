"""Whether one side of a pair has red and blue swapped: files written by OpenCV from RGB arrays are."""

from __future__ import annotations

from collections.abc import Iterable

from deblurbench.frames.convert import Frame8, swap_red_blue

CLEARLY = 0.8  # of the squared error, in grey frames both are the same
PAIRS = 5
STEP = 4  # every fourth pixel of every fourth row tells enough


class SwapProbe:
    """Looks at the first PAIRS pairs of frames (H, W, 3) uint8 that it is shown; costs about a millisecond each."""

    def __init__(self) -> None:
        self.straight = self.swapped = 0.0
        self.seen = 0

    def add(self, one: Frame8, other: Frame8) -> None:
        """Take in a pair of frames of the same size."""
        if self.seen == PAIRS:
            return
        import numpy as np

        self.seen += 1
        first, second = one[::STEP, ::STEP].astype(np.float32), other[::STEP, ::STEP]
        self.straight += float(np.square(first - second).mean())
        self.swapped += float(np.square(first - swap_red_blue(second)).mean())

    @property
    def found(self) -> bool:
        """Whether the two sides are clearly nearer to each other with red and blue of one of them swapped."""
        return self.swapped < CLEARLY * self.straight


def look_swapped(pairs: Iterable[tuple[Frame8, Frame8]]) -> bool:
    """Whether blurry and sharp frames are clearly nearer to each other with red and blue swapped."""
    probe = SwapProbe()
    for blurry, sharp in pairs:
        probe.add(blurry, sharp)
    return probe.found
