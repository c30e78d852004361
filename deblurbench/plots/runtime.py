"""Quality against runtime: a point a method, seconds per frame on a logarithmic axis, frames per second above it.

A point's area grows with the method's parameters. The step line joins the methods that no other one beats in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from deblurbench.analysis.statistics import Interval
from deblurbench.plots.labels import Box, name_points
from deblurbench.plots.style import INPUT, Look, Theme, better, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text


class Point(NamedTuple):
    """One method: median seconds per frame, its mean, the mean's interval where there is one, parameters."""

    label: str
    seconds: float
    value: float
    interval: Interval | None = None
    parameters: int | None = None


def runtime(
    points: Sequence[Point],
    reference: float | None,
    heading: str,
    looks: Mapping[str, Look],
    size: tuple[float, float],
    theme: Theme | None = None,
    higher_is_better: bool = True,
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
        (drawn,) = axes.plot(
            [point.seconds], [point.value], look.marker, color=look.colour, linestyle="none", markeredgewidth=0,
            zorder=3, markersize=theme.marker_size * _grown(point.parameters),
        )  # fmt: skip
        drawn.set_gid(theme.mark(point.label, f"{point.seconds:.3g} s, {point.value:.4g}"))
        if point.interval:
            axes.vlines(point.seconds, point.interval.low, point.interval.high, look.colour, linewidth=1, zorder=2)
    steps = pareto(points, higher_is_better)
    line = _reference(axes, reference, theme)
    _limits(axes, [point.seconds for point in points])
    if len(steps) > 1:
        axes.step(*zip(*steps, strict=True), where="post", color=theme.text, linewidth=0.8, alpha=0.45, zorder=1)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    obstacles = [Box(*artist.get_window_extent().extents) for artist in line]
    obstacles += _lines(axes, steps, reference)
    places = {point.label: (point.seconds, point.value) for point in points}
    name_points(axes, places, theme.label_size, theme.text, obstacles, _bars(axes, points))
    return figure


def pareto(points: Sequence[Point], higher_is_better: bool = True) -> list[tuple[float, float]]:
    """(seconds, value) of the methods that no other one beats in both, fastest first."""
    best: list[tuple[float, float]] = []
    sign = 1 if higher_is_better else -1
    for point in sorted(points, key=lambda p: (p.seconds, -sign * p.value)):
        if not best or sign * point.value > sign * best[-1][1]:
            best.append((point.seconds, point.value))
    return best


def _grown(parameters: int | None) -> float:
    """How much larger a marker is than the theme's: 1 at a million parameters, its area with their square root."""
    return min(2.0, max(0.65, ((parameters or 10**6) / 10**6) ** 0.25))


def _lines(axes: Axes, steps: Sequence[tuple[float, float]], reference: float | None) -> list[Box]:
    """What the drawn lines take on the canvas: names keep off them."""
    border = axes.get_window_extent()
    boxes = []
    if reference is not None:
        y = float(axes.transData.transform((1.0, reference))[1])
        boxes.append(Box(border.x0, y - 2, border.x1, y + 2))
    corners = [tuple(map(float, axes.transData.transform(step))) for step in steps]
    for (left, low), (right, high) in pairwise(corners):
        boxes.append(Box(left, low - 1, right, low + 1))
        boxes.append(Box(right - 1, min(low, high), right + 1, max(low, high)))
    return boxes


def _axes(axes: Axes, heading: str, theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plain_axes(axes, theme)
    axes.set_xscale("log")
    axes.set_xlabel("seconds per frame, median (← faster)", color=theme.text, parse_math=False)
    axes.set_ylabel(better(heading), color=theme.text, parse_math=False)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    above = axes.secondary_xaxis("top", functions=(_inverse, _inverse))
    above.set_xlabel("frames per second", color=theme.text, parse_math=False)
    above.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    above.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    above.xaxis.set_minor_formatter(NullFormatter())
    above.tick_params(colors=theme.text, length=0, which="both", pad=2)
    above.spines["top"].set_visible(False)


def _inverse(values: Any) -> Any:
    """Seconds per frame as frames per second, and back; nothing where a trial of the axis asks for zero."""
    import numpy as np

    return 1 / np.maximum(values, 1e-12)


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
        INPUT, (0, value), xycoords=("axes fraction", "data"), xytext=(2, 3), textcoords="offset points",
        color=theme.reference, fontsize=theme.label_size,
    )  # fmt: skip
    return [label]


def _bars(axes: Axes, points: Sequence[Point]) -> list[Box]:
    """What the intervals take on the canvas, with a little room at both sides."""
    boxes = []
    for point in points:
        if point.interval:
            ends = [(point.seconds, point.interval.low), (point.seconds, point.interval.high)]
            (x, low), (_, high) = axes.transData.transform(ends)
            boxes.append(Box(x - 9, low, x + 9, high))
    return boxes
