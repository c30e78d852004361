"""Quality against runtime, by matplotlib, as SVG for the light and the dark theme: the same table, the same bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from deblurbench.statistics import REFERENCE
from deblurbench.tables import Column, ResultTable
from deblurbench.tables.model import SECONDS

from .palette import DARK, LIGHT, MARKERS, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

THEMES: dict[str, dict[str, Any]] = {
    "light": {"colours": LIGHT, "text": "#3d434c", "grid": "#e3e5e8"},
    "dark": {"colours": DARK, "text": "#c3c9d1", "grid": "#2c323a"},
}
OFFSETS = ((8, 0), (-8, 0), (0, 9), (0, -9), (7, 8), (-7, 8), (7, -8), (-7, -8), (8, 17), (8, -17), (-8, 17), (-8, -17))


class Point(NamedTuple):
    """One method in the plot: median seconds per frame, and its mean."""

    label: str
    seconds: float
    value: float


def plottable(table: ResultTable, column: Column) -> list[Point]:
    """Methods with a finite mean and a time; the blurry input's time means nothing and is left out."""
    points = []
    for row in table.rows:
        value, seconds = row.value(column.key), row.value(SECONDS)
        if row.method.name != REFERENCE and value is not None and math.isfinite(value) and seconds:
            points.append(Point(row.label, seconds, value))
    return points


def draw(table: ResultTable, column: Column, looks: Mapping[str, Style], theme: str) -> bytes:
    """The plot as SVG: a point a method, seconds on a logarithmic axis, the reference's value as a line."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    colours = THEMES[theme]
    with mpl.rc_context({"svg.hashsalt": "deblurbench", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(10.4, 4.4), layout="constrained")
        canvas = FigureCanvasSVG(figure)
        axes = figure.subplots()
        _axes(axes, column, colours)
        points = plottable(table, column)
        for point in points:
            look = looks[point.label]
            colour = colours["colours"][look.colour]
            axes.plot([point.seconds], [point.value], MARKERS[look.dash], color=colour, markersize=8, linestyle="none")
        taken = _reference_line(axes, table, column, colours)
        _limits(axes, [point.seconds for point in points])
        canvas.draw()
        _labels(axes, points, taken, colours)
        out = io.BytesIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return out.getvalue().replace(b"'DejaVu Sans'", b"system-ui, -apple-system, 'Segoe UI'")


def _axes(axes: Axes, column: Column, colours: Mapping[str, Any]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_xlabel("seconds per frame, median (← faster)", color=colours["text"], parse_math=False)
    axes.set_ylabel(f"{column.heading.replace('↑', '(↑ better)').replace('↓', '(↓ better)')}", color=colours["text"])
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(colors=colours["text"], length=0, which="both")
    axes.grid(True, color=colours["grid"], linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _limits(axes: Axes, seconds: Sequence[float]) -> None:
    """Room around the points, and at least a factor of eight on the time axis, so that near ones look near."""
    axes.margins(0.1, 0.22)
    spread = max(1.5, (8 * min(seconds) / max(seconds)) ** 0.5)
    axes.set_xlim(min(seconds) / spread, max(seconds) * spread)


def _reference_line(axes: Axes, table: ResultTable, column: Column, colours: Mapping[str, Any]) -> Text | None:
    """Draw the blurry input's mean as a line; return its label."""
    for row in table.rows:
        value = row.value(column.key)
        if row.method.name == REFERENCE and value is not None and math.isfinite(value):
            axes.axhline(value, color=colours["colours"][0], linewidth=1.2, dashes=(5, 3))
            return axes.annotate(
                "blurry input", (0, value), xycoords=("axes fraction", "data"), xytext=(4, 4),
                textcoords="offset points", color=colours["colours"][0], fontsize=9,
            )  # fmt: skip
    return None


def _labels(axes: Axes, points: Sequence[Point], other: Text | None, colours: Mapping[str, Any]) -> None:
    """Name each point at the first of twelve places where the name overlaps no other name, point, or the border."""
    places = [axes.transData.transform((point.seconds, point.value)) for point in points]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    if other:
        left, bottom, right, top = other.get_window_extent().extents
        taken.append((left, bottom, right, top))
    border = axes.get_window_extent().extents
    for point in sorted(points, key=lambda p: -p.value):
        label = axes.annotate(
            point.label, (point.seconds, point.value), xytext=OFFSETS[0], textcoords="offset points", va="center",
            color=colours["text"], fontsize=9.5, parse_math=False,
        )  # fmt: skip
        for offset in OFFSETS:
            label.set_position(offset)
            label.set_horizontalalignment("left" if offset[0] > 0 else "right" if offset[0] < 0 else "center")
            if _free(label.get_window_extent().extents, taken, border):
                break
        left, bottom, right, top = label.get_window_extent().extents
        taken.append((left, bottom, right, top))


def _free(box: Sequence[float], taken: Sequence[Sequence[float]], border: Sequence[float]) -> bool:
    """Whether a box (left, bottom, right, top) lies inside the border and meets none of the others."""
    inside = box[0] >= border[0] and box[1] >= border[1] and box[2] <= border[2] and box[3] <= border[3]
    return inside and not any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken
    )
