"""Quality against runtime as SVG, for the light and the dark theme: the same table, the same bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from deblurbench.plots.runtime import Point, runtime
from deblurbench.plots.style import Look, Theme, render
from deblurbench.registry.cards import IDENTITY
from deblurbench.tables import Column, ResultTable
from deblurbench.tables.model import SECONDS, STARTUP

from .palette import DARK, LIGHT, MARKERS, Style

THEMES: dict[str, dict[str, Any]] = {
    "light": {"colours": LIGHT, "text": "#3d434c", "grid": "#e3e5e8"},
    "dark": {"colours": DARK, "text": "#c3c9d1", "grid": "#2c323a"},
}
SIZE = (10.4, 4.4)  # inches
SETTINGS = {
    "svg.fonttype": "none",
    **dict.fromkeys(("font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize"), 10),
}


def plotted(table: ResultTable) -> bool:
    """Whether there is a plot: not without points, nor of times that do not compare."""
    return timed(table) and len(devices(table)) == 1


def timed(table: ResultTable) -> bool:
    """Whether any method has a point."""
    return bool(table.metrics and plottable(table, table.metrics[0]))


def devices(table: ResultTable) -> list[str]:
    """The devices and precisions of the runs; times compare where there is one."""
    return list(dict.fromkeys(f"{run.manifest.device} ({run.manifest.precision})" for run in table.runs))


def plottable(table: ResultTable, column: Column) -> list[Point]:
    """Methods with a finite mean and a time; what the blurry input's and a command's time say is something else."""
    points = []
    for row in table.rows:
        value, seconds = row.value(column.key), row.value(SECONDS)
        if row.method.name == IDENTITY or STARTUP in row.marks:
            continue
        if value is not None and math.isfinite(value) and seconds:
            points.append(Point(row.label, seconds, value))
    return points


def draw(table: ResultTable, column: Column, looks: Mapping[str, Style], theme: str) -> bytes:
    """The plot as SVG: a point a method, seconds on a logarithmic axis, the reference's value as a line."""
    colours = THEMES[theme]
    palette = colours["colours"]
    own = {label: Look(palette[look.colour], MARKERS[look.dash]) for label, look in looks.items()}
    paint = Theme(colours["text"], colours["grid"], palette[0], label_size=9.5, marker_size=8)
    points, reference = plottable(table, column), _reference(table, column)
    drawn = render(lambda: runtime(points, reference, column.heading, own, SIZE, paint), ".svg", SETTINGS, True)
    return drawn.data.replace(b"'DejaVu Sans'", b"system-ui, -apple-system, 'Segoe UI'")


def _reference(table: ResultTable, column: Column) -> float | None:
    """The blurry input's mean, where it is finite."""
    means = [row.value(column.key) for row in table.rows if row.method.name == IDENTITY]
    return next((mean for mean in means if mean is not None and math.isfinite(mean)), None)
