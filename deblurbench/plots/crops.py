"""Which part of a frame is magnified."""

from __future__ import annotations

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

    Frames are uint8 (H, W, 3). Sums run over an integral image in int64, so the result is exact; the first one wins.
    """
    error = ((one.astype(np.int64) - two) ** 2).sum(axis=2)
    down, right = min(height, error.shape[0]), min(width, error.shape[1])
    total = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    windows = total[down:, right:] - total[:-down, right:] - total[down:, :-right] + total[:-down, :-right]
    y, x = np.unravel_index(int(windows.argmax()), windows.shape)
    return Crop(int(x), int(y), right, down)
