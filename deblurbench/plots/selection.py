"""From a stored run to the plain data that the figures draw; everything left out is said in `notes`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from deblurbench import tables
from deblurbench.analysis.statistics import MIN_CLIPS, Interval, clip_means
from deblurbench.errors import UsageError
from deblurbench.plots.clips import Series
from deblurbench.plots.curves import Panel
from deblurbench.plots.runtime import Point
from deblurbench.plots.style import INPUT, Look, looks
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.manifest import ClipRecord
from deblurbench.results.run import Run
from deblurbench.tables import Column, Row
from deblurbench.text import counted, did_you_mean


@dataclass
class Selection:
    """The rows of a run that a figure shows: the blurry input first, then the methods in the order asked for.

    `asked` holds ids that were named: those must be there, others that failed are left out with a note.
    """

    run: Run
    table: tables.ResultTable
    rows: list[Row]
    asked: set[str]
    metric: str | None = None
    notes: list[str] = field(default_factory=list)

    def label(self, row: Row) -> str:
        """The name in the figure."""
        return INPUT if row.method.name == IDENTITY else row.label

    @property
    def column(self) -> Column:
        """The metric drawn.

        Raises:
            UsageError: unknown, not computed, or the run has no score at all.
        """
        return _column(self.run, self.table, self.metric)

    @property
    def labels(self) -> list[str]:
        """All names, in order."""
        return [self.label(row) for row in self.rows]

    @property
    def looks(self) -> dict[str, Look]:
        """How methods are drawn: as in the report of this run, whichever of them the figure shows."""
        return looks([self.label(row) for row in self.table.rows], INPUT)

    def leave_out(self, row: Row, why: str) -> None:
        """Note that a method is not in the figure; an error where it was asked for by name."""
        if row.label in self.asked:
            raise UsageError(f"{row.label}: {why}. Leave it out of --methods, or mend and resume the run.")
        self.notes.append(f"left out: {row.label}: {why}")


def select(run: Run, methods: Sequence[str] | None, metric: str | None) -> Selection:
    """Choose rows and metric.

    `methods` are ids as in the table, or names that stand for all their variants.

    Raises:
        UsageError: unknown method or metric, or a metric that was not computed.
    """
    table = tables.build([run])
    reference = [row for row in table.rows if row.method.name == IDENTITY]
    others = [row for row in table.rows if row.method.name != IDENTITY]
    if methods is not None:
        others = list({row.label: row for name in methods for row in _named(name, table.rows, others)}.values())
    asked = {row.label for row in others} if methods is not None else set()
    selection = Selection(run, table, reference + others, asked, metric, list(table.warnings))
    if metric is not None:
        assert selection.column
    return selection


def _named(name: str, rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    if name == IDENTITY:
        return []
    named = [row for row in others if name in (row.label, row.method.name)]
    if not named:
        known = {name for row in rows for name in (row.label, row.method.name)}
        raise UsageError(f"--methods: no {name!r} in this run. {did_you_mean(name, known)}")
    return named


def _column(run: Run, table: tables.ResultTable, metric: str | None) -> Column:
    known = {column.key: column for column in table.metrics}
    key = metric or next(iter(known), "")
    if key in known:
        return known[key]
    absent = next((m.absent for m in run.manifest.metrics if m.id == key and m.absent), None)
    if absent:
        raise UsageError(f"--metric {key}: not computed in this run: {absent}")
    if not known:
        raise UsageError(
            f"{run.folder}: no method has a finished score (no ground truth, or nothing done yet); "
            "only --kind strip can be drawn, from kept frames"
        )
    raise UsageError(f"--metric: no {key!r} in this run. {did_you_mean(key, known)}")


def points(selection: Selection) -> list[Point]:
    """Methods with a finite mean and a time. The blurry input's time means nothing; it is no point.

    Raises:
        UsageError: no such method is left, or one asked for by name is not among them.
    """
    key, drawn = selection.column.key, []
    for row in selection.rows:
        if row.method.name == IDENTITY:
            continue
        if row.method.includes_startup:
            selection.leave_out(row, "a command, whose time includes its start-up and the disk")
            continue
        value, seconds = row.value(key), row.value("seconds")
        if value is None or not math.isfinite(value) or not seconds:
            missing = value is None or not math.isfinite(value)
            selection.leave_out(row, _no_mean(row, key) if missing else "no time that is not warm-up")
        else:
            drawn.append(Point(row.label, seconds, value, row.cells[key].interval, row.method.parameters))
    if not drawn:
        raise UsageError(f"{selection.run.folder}: no method has both a mean of {key} and a time per frame")
    _note_intervals(selection, [point.interval for point in drawn])
    return drawn


def reference_mean(selection: Selection) -> float | None:
    """The blurry input's mean, where it is finite."""
    means = [row.value(selection.column.key) for row in selection.rows if row.method.name == IDENTITY]
    return next((mean for mean in means if mean is not None and math.isfinite(mean)), None)


def clip_series(selection: Selection) -> list[Series]:
    """Every method's clip means, with the mean over clips and its interval. Methods without a mean are left out."""
    column, series = selection.column, []
    names = [clip.name for clip in selection.run.manifest.clips]
    for row in selection.rows:
        summary = row.summary.metrics.get(column.key)
        if summary is None:
            selection.leave_out(row, _no_mean(row, column.key))
            continue
        values = clip_means(selection.run, row.method.id, column.key)
        shown = column.show(summary.clip_mean)
        by_clip = [values.get(name) for name in names]
        series.append(Series(selection.label(row), by_clip, summary.clip_mean, summary.interval, shown))
    _note_intervals(selection, [one.interval for one in series])
    return series


def _note_intervals(selection: Selection, intervals: Sequence[Interval | None]) -> None:
    """What to write in the figure's caption."""
    count = len(selection.run.manifest.clips)
    if any(intervals):
        selection.notes.append(f"intervals for the caption: 95 %, Student's t over the means of {count} clips")
    else:
        selection.notes.append(f"no intervals: {counted(count, 'clip')}, at least {MIN_CLIPS} are needed")


def panels(selection: Selection, clip: str | None) -> list[Panel]:
    """Per-frame values of one clip, or of all that have any.

    Raises:
        UsageError: unknown clip, a metric without values per frame, or no value at all.
    """
    run, key = selection.run, selection.column.key
    if next(m.level for m in run.manifest.metrics if m.id == key) == "clip":
        raise UsageError(f"--metric {key}: has one value a clip, none a frame; draw it with --kind clips")
    chosen = [find_clip(run, clip)] if clip is not None else run.manifest.clips
    shown = [panel for record in chosen if (panel := _panel(selection, record, key)).values]
    if not shown:
        raise UsageError(f"{run.folder}: no {key} of any frame of {clip or 'any clip'}")
    return shown


def _panel(selection: Selection, clip: ClipRecord, key: str) -> Panel:
    values: dict[str, list[float | None]] = {}
    for row in selection.rows:
        frames = selection.run.values_by_clip(row.method.id, key).get(clip.name)
        if frames is not None:
            values[selection.label(row)] = [frames.get(stem) for stem in clip.scored]
        else:
            selection.leave_out(row, f"no {key} on {clip.name} ({outcome_of(selection.run, row, clip.name)})")
    return Panel(clip.name, clip.scored, values)


def find_clip(run: Run, name: str | None) -> ClipRecord:
    """The clip of that name; the only one of the run for None.

    Raises:
        UsageError: there is none, with the nearest name.
    """
    known = {clip.name: clip for clip in run.manifest.clips}
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None:
        raise UsageError(f"--clip is missing. {did_you_mean('', known)}")
    if name not in known:
        raise UsageError(f"--clip: no {name!r} in this run. {did_you_mean(name, known)}")
    return known[name]


def _no_mean(row: Row, key: str) -> str:
    if not row.ok:
        return row.summary.reason or row.summary.state
    value = row.value(key)
    return f"no {key}" if value is None else f"every {key} is infinite: its frames equal the ground truth"


def outcome_of(run: Run, row: Row, clip: str) -> str:
    """How a method ended on a clip, in words."""
    outcome = run.manifest.outcome(row.method.id, clip)
    return f"{outcome.status}: {outcome.reason}" if outcome.reason else outcome.status
