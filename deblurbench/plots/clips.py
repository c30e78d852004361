"""Every clip's value by every method, and the means over clips with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deblurbench.analysis.statistics import Interval
from deblurbench.plots.style import SMALL, Look, Theme, better, new_figure, plain_axes, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW, NARROWEST, TALLEST = 0.165, 0.1, 8.2  # inches: height of a line, its least, height of all of them
NAMES = 0.36  # share of the width that names may take
EDGES = 0.55  # inches for axis label, ticks and the gap between the panels


@dataclass(frozen=True)
class Series:
    """One method: its value on every clip (None where there is none, inf possible), their mean and its interval."""

    label: str
    values: Sequence[float | None]
    mean: float
    interval: Interval | None
    shown: str


def clips(
    names: Sequence[str],
    series: Sequence[Series],
    heading: str,
    looks: Mapping[str, Look],
    width: float,
    theme: Theme | None = None,
) -> Figure:
    """Draw two panels on one axis: above, a line a method with its mean over clips; below, a line a clip.

    The upper panel is the legend, too. Infinite values (frames equal to the ground truth) are not drawn.
    """
    theme = theme or Theme()
    row = max(NARROWEST, min(ROW, TALLEST / (len(names) + len(series))))
    heights = (row * (len(series) + 0.4), row * (len(names) + 0.4))
    figure = new_figure(width, sum(heights) + EDGES)
    above, below = figure.subplots(2, sharex=True, height_ratios=heights)
    size = min(SMALL, row * 72 * 0.72)
    _means(above, series, looks, theme)
    _dots(below, names, series, looks, theme)
    for axes, labels in ((above, [s.label for s in series]), (below, names)):
        fitting = [shorten(label, size, width * 72 * NAMES) for label in labels]
        axes.set_yticks(range(len(labels)), fitting, fontsize=size, color=theme.text, parse_math=False)
        axes.set_ylim(len(labels) - 0.3, -0.7)
    above.tick_params(labelbottom=False)
    below.set_xlabel(better(heading), color=theme.text, parse_math=False)
    return figure


def _means(axes: Axes, series: Sequence[Series], looks: Mapping[str, Look], theme: Theme) -> None:
    plain_axes(axes, theme, "x")
    axes.set_facecolor(theme.panel)
    for y, one in enumerate(series):
        if not math.isfinite(one.mean):
            continue
        if one.interval:
            line = axes.hlines(y, one.interval.low, one.interval.high, looks[one.label].colour, linewidth=1.2)
            line.set_gid(theme.mark(one.label))
        _marker(axes, one.mean, y, looks[one.label], 5.0, theme.mark(one.label, f"mean over clips {one.shown}"))
        axes.annotate(
            one.shown, (1, y), xycoords=("axes fraction", "data"), xytext=(3, 0), textcoords="offset points",
            ha="left", va="center_baseline", fontsize=SMALL, color=theme.text,
        )  # fmt: skip


def _dots(axes: Axes, names: Sequence[str], series: Sequence[Series], looks: Mapping[str, Look], theme: Theme) -> None:
    plain_axes(axes, theme, "x")
    for y in range(len(names)):
        known = [v for s in series if (v := s.values[y]) is not None and math.isfinite(v)]
        if known:
            axes.hlines(y, min(known), max(known), theme.span, linewidth=0.8, zorder=1)
        for one in series:
            value = one.values[y]
            if value is not None and math.isfinite(value):
                _marker(axes, value, y, looks[one.label], 4.2, theme.mark(one.label, f"{names[y]}: {value:.4g}"))


def _marker(axes: Axes, x: float, y: float, look: Look, size: float, name: str | None) -> None:
    edge = 1.0 if look.marker == "x" else 0.0
    (drawn,) = axes.plot([x], [y], look.marker, color=look.colour, markersize=size, markeredgewidth=edge, zorder=3)
    drawn.set_gid(name)
