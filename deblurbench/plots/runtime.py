"""Quality against runtime: a point a method, seconds per frame on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from deblurbench.analysis.statistics import Interval
from deblurbench.plots.labels import Box, name_points
from deblurbench.plots.style import INPUT, Look, Theme, better, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text


class Point(NamedTuple):
    """One method in the plot: median seconds per frame, its mean, and the mean's interval where there is one."""

    label: str
    seconds: float
    value: float
    interval: Interval | None = None


def runtime(
    points: Sequence[Point],
    reference: float | None,
    heading: str,
    looks: Mapping[str, Look],
    size: tuple[float, float],
    theme: Theme | None = None,
) -> Figure:
    """Draw the plot; `reference` is the blurry input's mean, a dashed line. `size` is in inches, `heading` a column's.

    `points` is not empty. The time axis spans at least a factor of eight, so that near times look near.
    """
    theme = theme or Theme()
    figure = new_figure(*size)
    axes = figure.subplots()
    _axes(axes, heading, theme)
    for point in points:
        look = looks[point.label]
        axes.plot(
            [point.seconds], [point.value], look.marker, color=look.colour, markersize=theme.marker_size,
            linestyle="none", markeredgewidth=0, zorder=3,
        )  # fmt: skip
        if point.interval:
            axes.vlines(point.seconds, point.interval.low, point.interval.high, look.colour, linewidth=1, zorder=2)
    line = _reference(axes, reference, theme)
    _limits(axes, [point.seconds for point in points])
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    obstacles = [Box(*artist.get_window_extent().extents) for artist in line]
    places = {point.label: (point.seconds, point.value) for point in points}
    name_points(axes, places, theme.label_size, theme.text, obstacles, _bars(axes, points))
    return figure


def _axes(axes: Axes, heading: str, theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plain_axes(axes, theme)
    axes.set_xscale("log")
    axes.set_xlabel("seconds per frame, median (← faster)", color=theme.text, parse_math=False)
    axes.set_ylabel(better(heading), color=theme.text, parse_math=False)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _limits(axes: Axes, seconds: Sequence[float]) -> None:
    """Room around the points, and at least a factor of eight on the time axis, so that near ones look near."""
    axes.margins(0.1, 0.18)
    spread = max(1.5, (8 * min(seconds) / max(seconds)) ** 0.5)
    axes.set_xlim(min(seconds) / spread, max(seconds) * spread)


def _reference(axes: Axes, value: float | None, theme: Theme) -> list[Text]:
    """Draw the blurry input's mean as a line; return its label, if any."""
    if value is None:
        return []
    axes.axhline(value, color=theme.reference, linewidth=1, dashes=(5, 3), zorder=1)
    label = axes.annotate(
        INPUT, (0, value), xycoords=("axes fraction", "data"), xytext=(2, 2), textcoords="offset points",
        color=theme.reference, fontsize=theme.label_size,
    )  # fmt: skip
    return [label]


def _bars(axes: Axes, points: Sequence[Point]) -> list[Box]:
    """What the intervals take on the canvas, with a little room at both sides."""
    found = []
    for point in points:
        if point.interval:
            ends = [(point.seconds, point.interval.low), (point.seconds, point.interval.high)]
            (x, low), (_, high) = axes.transData.transform(ends)
            found.append(Box(x - 9, low, x + 9, high))
    return found
