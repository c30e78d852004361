"""Quality against runtime on the page: the same table, the same bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from markupsafe import Markup

from deblurbench.plots import web
from deblurbench.plots.runtime import Point, runtime
from deblurbench.plots.style import Look
from deblurbench.registry.cards import IDENTITY
from deblurbench.tables import Column, ResultTable
from deblurbench.tables.model import SECONDS, STARTUP

SIZE = (6.6, 3.1)  # inches


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
            points.append(Point(row.label, seconds, value, parameters=row.method.parameters))
    return points


def draw(table: ResultTable, column: Column, looks: Mapping[str, Look]) -> Markup:
    """The plot as an SVG element: a point a method, the reference's value as a line."""
    points, reference = plottable(table, column), _reference(table, column)
    label = f"{column.label} against seconds per frame, one point a method; the values stand in the table of results"
    drawn = web.inline(
        lambda: runtime(points, reference, column.heading, looks, SIZE, web.THEME, column.higher_is_better),
        "runtime",
        label,
    )
    return Markup(drawn)


def _reference(table: ResultTable, column: Column) -> float | None:
    """The blurry input's mean, where it is finite."""
    means = [row.value(column.key) for row in table.rows if row.method.name == IDENTITY]
    return next((mean for mean in means if mean is not None and math.isfinite(mean)), None)
