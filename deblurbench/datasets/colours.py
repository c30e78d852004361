"""Whether one side of a pair has red and blue swapped: files written by OpenCV from RGB arrays are."""

from __future__ import annotations

from collections.abc import Iterable

from deblurbench.frames import Frame8, swap_red_blue

CLEARLY = 0.8  # of the squared error, in grey frames both are the same


def look_swapped(pairs: Iterable[tuple[Frame8, Frame8]]) -> bool:
    """Whether blurry and sharp frames (H, W, 3) uint8 are clearly nearer to each other with red and blue swapped."""
    import numpy as np

    straight = swapped = 0.0
    for blurry, sharp in pairs:
        ours = blurry.astype(np.float32)
        straight += float(np.square(ours - sharp).mean())
        swapped += float(np.square(ours - swap_red_blue(sharp)).mean())
    return swapped < CLEARLY * straight
