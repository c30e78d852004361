"""Quality against runtime, by matplotlib, as SVG for the light and the dark theme. The same table gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deblurbench.statistics import REFERENCE
from deblurbench.tables import Column, ResultTable, Row
from deblurbench.tables.model import SECONDS

from .palette import DARK, LIGHT, MARKERS, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THEMES: dict[str, dict[str, Any]] = {
    "light": {"colours": LIGHT, "text": "#3d434c", "grid": "#e3e5e8"},
    "dark": {"colours": DARK, "text": "#c3c9d1", "grid": "#2c323a"},
}
OFFSETS = ((8, 0), (-8, 0), (0, 9), (0, -9), (7, 8), (-7, 8), (7, -8), (-7, -8), (8, 17), (8, -17), (-8, 17), (-8, -17))


def plottable(table: ResultTable, column: Column) -> list[Row]:
    """Rows with a finite mean and a time; the blurry input's time means nothing and is left out."""
    rows = [r for r in table.rows if r.method.name != REFERENCE and column.key in r.cells and SECONDS in r.cells]
    return [r for r in rows if (r.cells[column.key].value or 0) < float("inf") and (r.cells[SECONDS].value or 0) > 0]


def draw(table: ResultTable, column: Column, looks: Mapping[str, Style], theme: str) -> bytes:
    """The plot as SVG: a point a method, seconds on a logarithmic axis, the reference's value as a line."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    colours = THEMES[theme]
    with mpl.rc_context({"svg.hashsalt": "deblurbench", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(7.2, 3.9), layout="constrained")
        canvas = FigureCanvasSVG(figure)
        axes = figure.subplots()
        _axes(axes, column, colours)
        rows = plottable(table, column)
        for row in rows:
            _point(axes, row, column, looks[row.label], colours)
        _reference_line(axes, table, column, colours)
        axes.margins(0.18, 0.22)
        canvas.draw()
        _labels(axes, rows, column, colours)
        out = io.BytesIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return out.getvalue().replace(b"'DejaVu Sans'", b"system-ui, -apple-system, 'Segoe UI'")


def _axes(axes: Axes, column: Column, colours: Mapping[str, Any]) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    axes.set_xlabel("seconds per frame, median (← faster)", color=colours["text"], parse_math=False)
    axes.set_ylabel(f"{column.heading.replace('↑', '(↑ better)').replace('↓', '(↓ better)')}", color=colours["text"])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(colors=colours["text"], length=0, which="both")
    axes.grid(True, color=colours["grid"], linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _point(axes: Axes, row: Row, column: Column, look: Style, colours: Mapping[str, Any]) -> None:
    x, y = row.cells[SECONDS].value, row.cells[column.key].value
    axes.plot([x], [y], MARKERS[look.dash], color=colours["colours"][look.colour], markersize=8, linestyle="none")


def _reference_line(axes: Axes, table: ResultTable, column: Column, colours: Mapping[str, Any]) -> None:
    for row in table.rows:
        if row.method.name == REFERENCE and column.key in row.cells:
            value = row.cells[column.key].value
            axes.axhline(value, color=colours["colours"][0], linewidth=1.2, dashes=(5, 3))
            axes.annotate(
                "blurry input", (0, value), xycoords=("axes fraction", "data"), xytext=(4, 4),
                textcoords="offset points", color=colours["colours"][0], fontsize=9,
            )  # fmt: skip
            return


def _labels(axes: Axes, rows: Sequence[Row], column: Column, colours: Mapping[str, Any]) -> None:
    """Name each point at the first of twelve places where the name overlaps no other name, point, or the border."""
    places = [axes.transData.transform((r.cells[SECONDS].value, r.cells[column.key].value)) for r in rows]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    border = axes.get_window_extent().bounds
    for row in sorted(rows, key=lambda r: -(r.cells[column.key].value or 0)):
        label = axes.annotate(
            row.label, (row.cells[SECONDS].value or 0, row.cells[column.key].value or 0), xytext=OFFSETS[0],
            textcoords="offset points", va="center", color=colours["text"], fontsize=9.5, parse_math=False,
        )  # fmt: skip
        for offset in OFFSETS:
            label.set_position(offset)
            label.set_horizontalalignment("left" if offset[0] > 0 else "right" if offset[0] < 0 else "center")
            box = label.get_window_extent().extents
            if _free(box, taken, border):
                break
        taken.append(tuple(label.get_window_extent().extents))


def _free(box: Sequence[float], taken: Sequence[Sequence[float]], border: Sequence[float]) -> bool:
    left, bottom, width, height = border
    if box[0] < left or box[2] > left + width or box[1] < bottom or box[3] > bottom + height:
        return False
    own = 0
    for other in taken:
        if box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]:
            own += 1
    return own == 0
