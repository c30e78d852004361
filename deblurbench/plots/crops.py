"""Which part of a frame is magnified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from deblurbench.errors import UsageError
from deblurbench.frames.convert import Frame8


class Crop(NamedTuple):
    """A window of a frame in pixels; x and y count from the upper left corner."""

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        """As `--crop` takes it."""
        return f"{self.x},{self.y},{self.width},{self.height}"

    def cut(self, frame: Frame8) -> Frame8:
        """The window's pixels."""
        return frame[self.y : self.y + self.height, self.x : self.x + self.width]


def parse_crop(text: str) -> Crop:
    """Read 'X,Y,W,H'.

    Raises:
        UsageError: not four whole numbers, or an empty window.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) != 4 or not all(word.removeprefix("-").isdecimal() for word in words):
        raise UsageError(f"--crop {text!r}: four whole numbers X,Y,W,H are expected, in pixels, e.g. 120,40,64,48")
    crop = Crop(*map(int, words))
    if crop.width < 1 or crop.height < 1:
        raise UsageError(f"--crop {text!r}: width and height must be at least 1")
    return crop


def check_crop(crop: Crop, frame: Frame8) -> None:
    """Raise UsageError where the window does not lie inside the frame."""
    height, width = frame.shape[:2]
    if crop.x < 0 or crop.y < 0 or crop.x + crop.width > width or crop.y + crop.height > height:
        raise UsageError(
            f"--crop {crop}: reaches beyond the frame of {width}x{height}; X + W may be at most {width}, Y + H at most "
            f"{height}"
        )


def default_crop(one: Frame8, two: Frame8) -> Crop:
    """The window of a quarter of the frame's width and height in which two frames differ most (`most_different`)."""
    height, width = one.shape[:2]
    return most_different(one, two, max(1, width // 4), max(1, height // 4))


def most_different(one: Frame8, two: Frame8, width: int, height: int) -> Crop:
    """The window of at most `width` x `height` pixels with the largest mean squared difference.

    Frames are uint8 (H, W, 3).
    """
    return most_varied((one, two), width, height)[0]


def most_varied(frames: Sequence[Frame8], width: int, height: int) -> tuple[Crop, float]:
    """The window of at most `width` x `height` pixels with the largest variance among frames, and that variance.

    Frames are uint8 (H, W, 3) of one size, two or more. The variance is that of the frames' values at a pixel, averaged
    over the window (grey levels squared). Sums run over an integral image in int64, so the window is exact; of equal
    ones the first wins.
    """
    count, shape = len(frames), frames[0].shape
    total, squares = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for frame in frames:
        total += frame
        squares += frame.astype(np.int64) ** 2
    spread = (count * squares - total**2).sum(axis=2)  # count^2 times the variance: whole numbers
    down, right = min(height, shape[0]), min(width, shape[1])
    table = np.pad(spread.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    windows = table[down:, right:] - table[:-down, right:] - table[down:, :-right] + table[:-down, :-right]
    y, x = np.unravel_index(int(windows.argmax()), windows.shape)
    return Crop(int(x), int(y), right, down), float(windows[y, x]) / (count**2 * down * right * shape[2])
