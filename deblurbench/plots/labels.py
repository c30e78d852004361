"""Names beside points, placed where they overlap nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIRECTIONS = (0, 180, 90, 270, 45, 135, 315, 225, 22, 158, 338, 202)
RINGS = (1.0, 1.9, 2.9, 4.2, 6.0)
LEADER = 2.5  # rings from here on get a thin line from the name to its point


class Box(NamedTuple):
    """A rectangle in pixels of the canvas."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """The common area of two boxes."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, wide) * max(0.0, high)

    def outside(self, border: Box) -> float:
        """The part of this box's area that lies beyond `border`."""
        return (self.right - self.left) * (self.top - self.bottom) - self.overlap(border)


def name_points(
    axes: Axes,
    points: Mapping[str, tuple[float, float]],
    size: float,
    colour: str,
    obstacles: Sequence[Box] = (),
    bars: Sequence[Box] = (),
) -> None:
    """Write each name beside its point (data coordinates): the nearest place where it overlaps nothing.

    Call it last, when limits and layout are final. Where every place overlaps something, the least bad one is taken;
    crossing one of the thin `bars` is less bad than meeting an obstacle, a point or another name.
    """
    border = Box(*axes.get_window_extent().extents)
    unit = axes.figure.dpi / 72 * size
    dots = {name: axes.transData.transform(place) for name, place in points.items()}
    taken = [
        *obstacles,
        *[Box(x - 0.55 * unit, y - 0.55 * unit, x + 0.55 * unit, y + 0.55 * unit) for x, y in dots.values()],
    ]
    for name in sorted(points, key=lambda n: (-dots[n][1], dots[n][0])):
        taken.append(_name_point(axes, name, points[name], size, colour, (taken, bars), border))


def _name_point(
    axes: Axes,
    name: str,
    point: tuple[float, float],
    size: float,
    colour: str,
    others: tuple[Sequence[Box], Sequence[Box]],
    border: Box,
) -> Box:
    label = axes.annotate(
        name, point, xytext=(0, 0), textcoords="offset points", va="center", ha="left", color=colour, fontsize=size,
        parse_math=False,
    )  # fmt: skip
    tried: list[tuple[bool, float, int, float, tuple[float, float], Box]] = []
    for ring in RINGS:
        for angle in DIRECTIONS:
            offset = (ring * size * math.cos(math.radians(angle)), ring * size * math.sin(math.radians(angle)))
            label.set_position(offset)
            label.set_horizontalalignment(_side(offset[0], size))
            box = Box(*label.get_window_extent().extents)
            bad = 60 * box.outside(border) + 20 * sum(map(box.overlap, others[0])) + sum(map(box.overlap, others[1]))
            tried.append((bad > 0, bad, len(tried), ring, offset, box))
        if not min(tried)[0]:
            break
    *_, ring, offset, box = min(tried)
    label.set_position(offset)
    label.set_horizontalalignment(_side(offset[0], size))
    if ring > LEADER:
        axes.annotate("", point, xytext=offset, textcoords="offset points", arrowprops=_leader(colour), zorder=1)
    return box


def _side(right: float, size: float) -> Literal["left", "center", "right"]:
    return "left" if right > 0.3 * size else "right" if right < -0.3 * size else "center"


def _leader(colour: str) -> dict[str, object]:
    return {"arrowstyle": "-", "linewidth": 0.4, "color": colour, "alpha": 0.6, "shrinkA": 2, "shrinkB": 3}
