"""Cuts between scenes, at which whatever a method remembers of earlier frames misleads it.

The rule: two neighbouring frames are reduced to 64x36 block means. There is a cut where their correlation (normalised,
over the three colours) stays below 0.65 however one is shifted against the other, by up to 12 blocks to the side and 7
up or down. Exposure that changes, noise, blur and camera shake leave the correlation high; fades and dissolves are no
cuts; a flash is two.

How often it is wrong, by measurement: no false cut in the 246 pairs of neighbours of two real clips (GOPR0372_07_00 of
GOPRO and 027 of REDS, blurry and sharp), nor in the 86 of the eight clips of `mini`, nor where every second or fourth
frame is taken (234 pairs); all 120 joints of two of these clips are found, and 540 of the 552 joints of two of Kodak's
24 photographs (98 %). A cut that is missed costs what every cut did before; a false one a few frames' memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, product
from typing import TYPE_CHECKING

from deblurbench.frames.convert import Frame8

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 36
SIDEWAYS, UPWARDS = 12, 7
SAME_SCENE = 0.65
_SHIFTS = sorted(
    product(range(-SIDEWAYS, SIDEWAYS + 1), range(-UPWARDS, UPWARDS + 1)),
    key=lambda shift: abs(shift[0]) + abs(shift[1]),
)
FLAT = 16.0
"""Variance, in grey levels squared, below which blocks say nothing: a fade from black is no cut."""


def scenes(frames: Iterable[Frame8], on_cut: Callable[[int], None]) -> Iterator[Iterator[Frame8]]:
    """The frames of each scene in turn; each must be walked to its end before the next one is asked for.

    `on_cut` is called with the position of every frame that begins a scene but the first.
    """
    for _, scene in groupby(_numbered(frames, on_cut), key=lambda entry: entry[0]):
        yield (frame for _, frame in scene)


def is_cut(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether a scene begins with the second of two neighbouring frames, given as their `blocks`."""
    if _correlation(before, after) >= SAME_SCENE:
        return False
    return all(_correlation(*_overlap(before, after, x, y)) < SAME_SCENE for x, y in _SHIFTS)


def blocks(frame: Frame8) -> NDArray[np.float32]:
    """A frame (H, W, 3) as the means of its blocks, float32 (36, 64, 3)."""
    import cv2
    import numpy as np

    return np.asarray(cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32)


def _numbered(frames: Iterable[Frame8], on_cut: Callable[[int], None]) -> Iterator[tuple[int, Frame8]]:
    """The frames, each with the number of its scene."""
    scene, before = 0, None
    for position, frame in enumerate(frames):
        seen = blocks(frame)
        if before is not None and is_cut(before, seen):
            scene += 1
            on_cut(position)
        before = seen
        yield scene, frame


def _correlation(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    one, two = one - one.mean((0, 1)), two - two.mean((0, 1))
    flat = FLAT * one.size
    shared = float((one * two).sum()) + flat
    norm: float = ((float((one * one).sum()) + flat) * (float((two * two).sum()) + flat)) ** 0.5
    return shared / norm


def _overlap(
    one: NDArray[np.float32], two: NDArray[np.float32], x: int, y: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What two arrays share when the second is moved by (x, y)."""
    rows, columns = HEIGHT - abs(y), WIDTH - abs(x)
    a = one[max(y, 0) :, max(x, 0) :][:rows, :columns]
    b = two[max(-y, 0) :, max(-x, 0) :][:rows, :columns]
    return a, b
