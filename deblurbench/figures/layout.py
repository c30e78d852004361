"""Where the pictures of a comparison strip stand, in whole device pixels, so that magnified pixels stay exact."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from deblurbench.errors import UsageError
from deblurbench.figures.style import DPI

FINEST = 2 * DPI
TALLEST = 8.8  # inches
FRAME_SHARE = 0.22  # of the width, which the whole frame has at least
LARGEST_SHARE = 0.55  # which it has at most, where crops can be that large: they are what the strip is for
SMALLEST = 0.65  # of its cell, which a crop's longer side has at least, where that can be
UNEVEN = 0.8  # what a difference of heights costs
NARROW = 4.0  # inches; up to this width the crops may stand under the whole frame instead of beside it
HIGHEST_SHARE = 0.6  # of the height, which the whole frame has at most above its crops
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
    the share by which the whole frame is higher or lower than the crops beside it.
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


def arrange(
    count: int, frame: tuple[int, int], crop: tuple[int, int], width: float, needed: dict[int, float]
) -> Layout:
    """The layout with the greatest merit, for `count` crops at a figure `width` in inches.

    `frame` and `crop` are (width, height) in pixels of the frame; `needed` maps a number of text lines under each crop
    to the width in points that these lines take.

    Raises:
        UsageError: the crop is too large to be shown without shrinking it.
    """
    for dpi in (DPI, FINEST):
        found = list(_candidates(count, frame, crop, width, needed, dpi))
        if width <= NARROW:
            found += _stacked(count, frame, crop, width, needed)
        if found:
            return _best(found)
    room = int(width * FINEST * (1 - FRAME_SHARE))
    raise UsageError(
        f"--crop: a window {crop[0]} pixels wide cannot be shown pixel by pixel in {width} inches; "
        f"choose one of at most {room} pixels, or --width double"
    )


def _best(found: list[Layout]) -> Layout:
    """The best one of those that fit on a page with large crops; else that fit on a page; else the lowest."""
    low = [layout for layout in found if layout.height <= TALLEST * layout.dpi]
    large = [layout for layout in low if _shows_crops(layout)]
    if low:
        return max(large or low, key=lambda layout: layout.merit)
    return min(found, key=lambda layout: layout.height)


def _shows_crops(layout: Layout) -> bool:
    """Whether the crops are large in their cells, and the whole frame leaves them enough of the figure."""
    frame, crop = layout.frame, layout.crops[0]
    above = crop.y >= frame.height
    leaves = frame.height <= HIGHEST_SHARE * layout.height if above else frame.width <= LARGEST_SHARE * layout.width
    return leaves and max(crop.width, crop.height) >= SMALLEST * layout.cell


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


def _place(
    count: int, columns: int, factor: int, crop: tuple[int, int], cell: int, lines: int, page: tuple[int, int, int],
    size: tuple[int, int],
) -> Layout:  # fmt: skip
    whole, gap, dpi = page
    text = round((LINE * lines + 3) * dpi / 72)
    wide, high = factor * crop[0], factor * crop[1]
    rows = -(-count // columns)
    below = round((LINE + 3) * dpi / 72)
    left, right = size[1] + below, rows * (high + text) + (rows - 1) * gap
    height = max(left, right)
    places = tuple(
        Place(
            size[0] + gap + (n % columns) * (cell + gap) + (cell - wide) // 2,
            (n // columns) * (high + text + gap),
            wide,
            high,
        )
        for n in range(count)
    )
    filled = (size[0] * size[1] + count * wide * high) / (whole * height)
    merit = filled - UNEVEN * abs(left - right) / height
    return Layout(dpi, whole, height, Place(0, 0, *size), places, factor, cell, lines, merit)


def _stacked(
    count: int, frame: tuple[int, int], crop: tuple[int, int], width: float, needed: dict[int, float]
) -> Iterator[Layout]:
    """The whole frame over the full width, and the crops under it: what fills a narrow column.

    The resolution is the one at which so many crops, magnified by a whole factor, take just the width.
    """
    for columns in range(1, count + 1):
        room = width - (columns - 1) * GAP / 72
        for factor in range(1, int(room * FINEST) // (columns * crop[0]) + 1):
            dpi = math.ceil(columns * factor * crop[0] / room)
            for lines, points in needed.items():
                if dpi >= DPI and points <= room * 72 / columns:
                    yield _under(count, columns, factor, crop, lines, frame, width, dpi)


def _under(
    count: int, columns: int, factor: int, crop: tuple[int, int], lines: int, frame: tuple[int, int], width: float,
    dpi: int,
) -> Layout:  # fmt: skip
    whole, gap = round(width * dpi), round(GAP * dpi / 72)
    wide, high, rows = factor * crop[0], factor * crop[1], -(-count // columns)
    cell = (whole - (columns - 1) * gap) // columns
    size = (whole, round(whole * frame[1] / frame[0]))
    top = size[1] + round((LINE + 3) * dpi / 72) + gap
    text = round((LINE * lines + 3) * dpi / 72)
    height = top + rows * (high + text) + (rows - 1) * gap
    places = []
    for number in range(count):
        row, column = divmod(number, columns)
        left = column * (cell + gap) + max(0, cell - wide) // 2
        places.append(Place(min(left, whole - wide), top + row * (high + text + gap), wide, high))
    filled = (size[0] * size[1] + count * wide * high) / (whole * height)
    return Layout(dpi, whole, height, Place(0, 0, *size), tuple(places), factor, cell, lines, filled)
