"""Mean ranks on one axis, best left, with a bar over methods that no test tells apart (after Demšar, JMLR 7, 2006)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from deblurbench.plots.style import SMALL, Look, Theme, new_figure, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deblurbench.analysis.ranking import Ranking

ROW, BAR, TOP = 0.17, 0.09, 0.3  # inches: height of a name, of a bar, of the axis
SIDE = 0.34  # share of the width for the names on either side


def ranks(
    ranking: Ranking,
    groups: Sequence[Sequence[str]],
    looks: Mapping[str, Look],
    width: float,
    theme: Theme | None = None,
) -> Figure:
    """Draw the diagram: an axis of mean ranks, a stem to each method's name, a bar a group; `width` is in inches.

    A group has the methods that no test tells apart, by mean rank.
    """
    theme = theme or Theme()
    count = len(ranking.methods)
    bars = TOP + BAR * (len(groups) + 0.5)
    better = (count + 1) // 2
    height = bars + ROW * (better + 0.3)
    figure = new_figure(width, height, constrained=False)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    _axis(axes, ranking, width, theme)
    _groups(axes, ranking, groups, width, theme)
    for place, row in enumerate(ranking.methods):
        left = place < better
        y = bars + ROW * (place if left else count - 1 - place)
        text = f"{shorten(row.method, SMALL, width * 72 * (SIDE - 0.09))} {row.mean_rank:.2f}"
        _stem(axes, row.method, text, _x(row.mean_rank, count, width), y, width * (SIDE if left else 1 - SIDE), left,
              looks[row.method], theme)  # fmt: skip
    return figure


def _x(rank: float, methods: int, width: float) -> float:
    low, high = width * (SIDE + 0.03), width * (0.97 - SIDE)
    return low + (rank - 1) / max(1, methods - 1) * (high - low)


def _axis(axes: Axes, ranking: Ranking, width: float, theme: Theme) -> None:
    """Whole ranks, at most about ten numbered."""
    count, y = len(ranking.methods), TOP - 0.06
    axes.plot([_x(1, count, width), _x(count, count, width)], [y, y], color=theme.text, linewidth=0.8)
    for rank in range(1, count + 1, max(1, count // 10)):
        x = _x(rank, count, width)
        axes.plot([x, x], [y - 0.04, y], color=theme.text, linewidth=0.8)
        axes.text(x, y - 0.06, str(rank), ha="center", va="bottom", fontsize=SMALL, color=theme.text)


def _groups(axes: Axes, ranking: Ranking, groups: Sequence[Sequence[str]], width: float, theme: Theme) -> None:
    known = {row.method: row.mean_rank for row in ranking.methods}
    for number, group in enumerate(groups):
        first, last = (_x(known[group[end]], len(known), width) for end in (0, -1))
        y = TOP + BAR * (number + 0.5)
        axes.plot([first - 0.03, last + 0.03], [y, y], color=theme.text, linewidth=2.4, solid_capstyle="butt")


def _stem(
    axes: Axes, name: str, text: str, x: float, y: float, edge: float, left: bool, look: Look, theme: Theme
) -> None:
    """From the axis down, then out to the name; the method's marker stands on the axis."""
    axis = TOP - 0.06
    (line,) = axes.plot([x, x, edge], [axis, y, y], color=theme.text, linewidth=0.6, zorder=1)
    width = 1.0 if look.marker == "x" else 0.0
    (dot,) = axes.plot([x], [axis], look.marker, color=look.colour, markersize=5, markeredgewidth=width, zorder=3)
    label = axes.text(
        edge + (-0.05 if left else 0.05), y, text, ha="right" if left else "left", va="center", fontsize=SMALL,
        color=theme.text, parse_math=False,
    )  # fmt: skip
    for artist in (line, dot, label):
        artist.set_gid(theme.mark(name))
