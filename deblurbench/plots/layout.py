"""Where the pictures of a comparison strip stand, in whole device pixels, so that magnified pixels stay exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from deblurbench.errors import UsageError
from deblurbench.plots.style import DPI

FINEST = 2 * DPI
TALLEST = 8.8  # inches
FRAME_SHARE = 0.22  # of the width, which the whole frame has at least
LARGEST_SHARE = 0.55  # which it has at most, where crops can be that large: they are what the strip is for
SMALLEST = 0.65  # of its cell, which a crop's longer side has at least, where that can be
UNEVEN = 0.8  # what a difference of heights costs
RAGGED = 0.25  # of the height that may stay empty beside the frame or the crops; else the crops go below the frame
NARROWEST = 0.75  # inches that a crop below the whole frame has at least
GAP = 4.0  # points between pictures
LINE = 9.4  # points from one line of text to the next


class Place(NamedTuple):
    """A rectangle in device pixels; x and y count from the figure's upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Layout:
    """A figure of `width` x `height` pixels at `dpi`: the whole frame, and one cell a crop, magnified by `factor`.

    `cell` is the width that a crop's text may take; `merit` the share of the figure that pictures cover, less most of
    `uneven`, the share by which the whole frame is higher or lower than the crops beside it. Where the crops stand
    below, it is the share that crops cover, less one for every empty place in their last row.
    """

    dpi: int
    width: int
    height: int
    frame: Place
    crops: tuple[Place, ...]
    factor: int
    cell: int
    lines: int
    merit: float
    uneven: float


def arrange(
    count: int, frame: tuple[int, int], crop: tuple[int, int], width: float, needed: dict[int, float]
) -> Layout:
    """The layout with the greatest merit, for `count` crops at a figure `width` in inches.

    Crops stand beside the whole frame, or below it where that would leave more than `RAGGED` of the height empty.
    `frame` and `crop` are (width, height) in pixels of the frame; `needed` maps a number of text lines under each crop
    to the width in points that these lines take.

    Raises:
        UsageError: the crop is too large to be shown without shrinking it.
    """
    beside = next(
        filter(None, (list(_candidates(count, frame, crop, width, needed, dpi)) for dpi in (DPI, FINEST))), []
    )
    best = _best(beside) if beside else None
    if best and best.uneven <= RAGGED:
        return best
    below = [one for dpi in (DPI, FINEST) for one in _below(count, frame, crop, width, needed, dpi)]
    below = [one for one in below if one.height <= TALLEST * one.dpi and one.crops[0].width >= NARROWEST * one.dpi]
    if below:
        return max(below, key=lambda layout: layout.merit)
    if best:
        return best
    room = int(width * FINEST)
    raise UsageError(
        f"--crop: a window {crop[0]} pixels wide cannot be shown pixel by pixel in {width} inches; "
        f"choose one of at most {room} pixels, or --width double"
    )


def _best(layouts: list[Layout]) -> Layout:
    """The best one of those that fit on a page with large crops; else that fit on a page; else the lowest."""
    low = [layout for layout in layouts if layout.height <= TALLEST * layout.dpi]
    large = [
        layout
        for layout in low
        if layout.frame.width <= LARGEST_SHARE * layout.width and max(layout.crops[0][2:]) >= SMALLEST * layout.cell
    ]
    if low:
        return max(large or low, key=lambda layout: layout.merit)
    return min(layouts, key=lambda layout: layout.height)


def _candidates(
    count: int, frame: tuple[int, int], crop: tuple[int, int], width: float, needed: dict[int, float], dpi: int
) -> Iterator[Layout]:
    whole, gap = round(width * dpi), round(GAP * dpi / 72)
    for columns in range(1, count + 1):
        room = int(whole * (1 - FRAME_SHARE)) - columns * gap
        for factor in range(1, max(0, room // (columns * crop[0])) + 1):
            for lines, points in needed.items():
                cell = max(factor * crop[0], round(points * dpi / 72))
                left = whole - columns * (cell + gap)
                if left >= FRAME_SHARE * whole:
                    size = (left, round(left * frame[1] / frame[0]))
                    yield _place(count, columns, factor, crop, cell, lines, (whole, gap, dpi), size)


def _below(
    count: int, frame: tuple[int, int], crop: tuple[int, int], width: float, needed: dict[int, float], dpi: int
) -> Iterator[Layout]:
    """Layouts with the whole frame over the figure's width and the crops in rows below it."""
    whole, gap = round(width * dpi), round(GAP * dpi / 72)
    for columns in range(min(2, count), count + 1):
        cell = (whole - (columns - 1) * gap) // columns
        for lines, points in needed.items():
            if cell >= max(crop[0], round(points * dpi / 72)):
                size = (whole, round(whole * frame[1] / frame[0]))
                yield _place(count, columns, cell // crop[0], crop, cell, lines, (whole, gap, dpi), size, below=True)


def _place(
    count: int, columns: int, factor: int, crop: tuple[int, int], cell: int, lines: int, page: tuple[int, int, int],
    size: tuple[int, int], below: bool = False,
) -> Layout:  # fmt: skip
    whole, gap, dpi = page
    text = round((LINE * lines + 3) * dpi / 72)
    wide, high = factor * crop[0], factor * crop[1]
    rows = -(-count // columns)
    left, right = size[1] + round((LINE + 3) * dpi / 72), rows * (high + text) + (rows - 1) * gap
    start = (0, left + gap) if below else (size[0] + gap, 0)
    height = left + gap + right if below else max(left, right)
    places = tuple(
        Place(
            start[0] + (n % columns) * (cell + gap) + (cell - wide) // 2,
            start[1] + (n // columns) * (high + text + gap),
            wide,
            high,
        )
        for n in range(count)
    )
    uneven = 0.0 if below else abs(left - right) / height
    merit = (size[0] * size[1] + count * wide * high) / (whole * height) - UNEVEN * uneven
    if below:
        merit = count * wide * high / (whole * height) - (rows * columns - count)
    return Layout(dpi, whole, height, Place(0, 0, *size), places, factor, cell, lines, merit, uneven)
