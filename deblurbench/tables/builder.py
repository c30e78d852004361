"""From stored runs to a comparison table: which rows, which marks, and every caveat a reader needs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from deblurbench.analysis.pairs import Pairs, all_pairs
from deblurbench.analysis.statistics import MethodSummary, Summary, summarise
from deblurbench.errors import UsageError
from deblurbench.registry.cards import IDENTITY, Published
from deblurbench.results.comparable import comparability
from deblurbench.results.manifest import Manifest
from deblurbench.results.run import Run
from deblurbench.tables.captions import _caption, _notes, _tiled_again, _warnings
from deblurbench.tables.model import (
    LEAK,
    MIXED,
    RANDOM,
    SECONDS,
    SEEN,
    STARTUP,
    TILED,
    Cell,
    Column,
    Mark,
    ResultTable,
    Row,
    _columns,
)
from deblurbench.tables.papers import _paper_notes, comparable_papers
from deblurbench.text import did_you_mean


def build(runs: Sequence[Run], *, reference: str = IDENTITY, allow_mixed: bool = False) -> ResultTable:
    """Build the table of one or several runs.

    Runs under different protocols, scored frames or metric versions stand in one table only with `allow_mixed`; their
    rows are then marked. The same method's row of a later run is left out where it repeats the earlier one's numbers.

    Raises:
        UsageError: no run, unlike runs without `allow_mixed`, a reference that no run has, or a damaged scores.csv.
    """
    if not runs:
        raise UsageError("no run to report on: name at least one output folder of `deblurbench run`")
    mixed = _mixed(runs, allow_mixed)
    ids = [method.id for run in runs for method in run.manifest.methods]
    if reference not in (IDENTITY, *ids):
        raise UsageError(f"reference {reference!r}: no such method in {runs[0].folder}. {did_you_mean(reference, ids)}")
    columns = _columns(runs)
    same_device = len({(run.manifest.device, run.manifest.precision) for run in runs}) == 1
    rows = _mark(columns, _rows(runs, columns, reference, mixed), same_device)
    tests = _test(runs, columns, rows, reference)
    if any(row.ok for row in rows):
        columns = tuple(c for c in columns if any(c.key in row.cells for row in rows))
    return ResultTable(
        runs=tuple(runs),
        reference=reference,
        title=" + ".join(dict.fromkeys(run.manifest.dataset for run in runs)),
        columns=columns,
        rows=tuple(rows),
        caption=tuple(_caption(runs, columns, rows, tests)),
        notes=_notes(rows, mixed),
        warnings=tuple(_warnings(runs, rows)),
        paper_notes=tuple(_paper_notes(runs, rows)),
        pairs=tests,
    )


def _mixed(runs: Sequence[Run], allowed: bool) -> list[str]:
    """Why each run does not compare with one before it that does; empty where it compares with all of them.

    The first run does not tell all: it may lack the metric of which two later ones have unlike versions.
    """
    like: list[Run] = []
    reasons = []
    for run in runs:
        unlike = [(one, reason) for one in like if (reason := comparability(one.manifest, run.manifest).means)]
        if unlike and not allowed:
            raise UsageError(
                f"{unlike[0][0].folder} and {run.folder} cannot share a table: {unlike[0][1]}. "
                "Report them apart, or pass --allow-mixed to have the rows marked."
            )
        if not unlike:
            like.append(run)
        reasons.append(unlike[0][1] if unlike else "")
    return reasons


def _rows(runs: Sequence[Run], columns: Sequence[Column], reference: str, mixed: Sequence[str]) -> list[Row]:
    """Rows of all runs: the reference first, then the best by the first metric; those without a mean last."""
    rows: list[Row] = []
    for number, run in enumerate(runs):
        for summary in summarise(run):
            row = _row(number, run.manifest, summary, columns, bool(mixed[number]))
            if not any(_repeats(row, earlier) for earlier in rows):
                rows.append(row)
    counts = Counter(row.label for row in rows)
    labelled = [_with_run_name(row, runs) if counts[row.label] > 1 else row for row in rows]
    first = columns[0]
    sign = -1 if first.higher_is_better else 1

    def place(row: Row) -> tuple[bool, bool, bool, float]:
        value = row.value(first.key)
        return row.method.id != reference, value is None, MIXED in row.marks, sign * (value or 0.0)

    return sorted(labelled, key=place)


def _test(runs: Sequence[Run], columns: Sequence[Column], rows: Sequence[Row], reference: str) -> dict[str, Pairs]:
    """Test all pairs of comparable rows by each metric and note in the cells how each row compares with the reference.

    Returns the tests of the rows that are comparable; a run that is not is tested within itself.
    """
    tests = {}
    for column in [column for column in columns if column.key != SECONDS]:
        families: dict[int | None, list[Row]] = {}
        for row in [row for row in rows if column.key in row.cells]:
            families.setdefault(row.run if MIXED in row.marks else None, []).append(row)
        for family, members in families.items():
            values = {row.label: runs[row.run].values_by_clip(row.method.id, column.key) for row in members}
            pairs = all_pairs(values, column.higher_is_better)
            if family is None:
                tests[column.key] = pairs
            for row in members:
                against = _reference_of(row, members, reference)
                if against:
                    cell = row.cells[column.key]
                    row.cells[column.key] = replace(cell, paired=pairs.compare(row.label, against))
    return tests


def _reference_of(row: Row, rows: Sequence[Row], reference: str) -> str:
    """The label of the row to compare with: the reference of the row's run or of another one; empty for none."""
    references = [other for other in rows if other.method.id == reference]
    if row in references or not references:
        return ""
    return next((other.label for other in references if other.run == row.run), references[0].label)


def _row(number: int, manifest: Manifest, summary: MethodSummary, columns: Sequence[Column], mixed: bool) -> Row:
    method = summary.method
    marks = [MIXED] if mixed else []
    marks += [RANDOM] if method.random_weights else []
    marks += [SEEN] if manifest.seen_in_training(method) else []
    marks += [LEAK] if any(s.infinite for s in summary.metrics.values()) else []
    marks += [STARTUP] if method.includes_startup else []
    marks += [TILED] if _tiled_again(manifest, method) else []
    paper = {} if manifest.partial else comparable_papers(manifest, method)
    cells = {}
    for column in columns:
        values = summary.metrics.get(column.key)
        if values:
            cells[column.key] = _cell(values, paper.get(column.key))
    if summary.seconds:
        cells[SECONDS] = Cell(summary.seconds.median, frames=summary.seconds.frames, p95=summary.seconds.p95)
    return Row(number, method, method.id, tuple(marks), summary, cells)


def _cell(summary: Summary, paper: Published | None) -> Cell:
    return Cell(
        value=summary.mean,
        interval=summary.interval,
        clip_mean=summary.clip_mean,
        infinite=summary.infinite,
        frames=summary.frames,
        paper=paper,
    )


def _repeats(row: Row, earlier: Row) -> bool:
    """Whether a later run's row says again what an earlier one said (identity stands in every run)."""
    same = row.run != earlier.run and row.label == earlier.label and row.summary.state == earlier.summary.state
    return same and row.marks == earlier.marks and row.ok and row.summary.metrics == earlier.summary.metrics


def _with_run_name(row: Row, runs: Sequence[Run]) -> Row:
    return replace(row, label=f"{row.label} [{runs[row.run].folder.resolve().name}]")


def _mark(columns: Sequence[Column], rows: list[Row], same_device: bool) -> list[Row]:
    """Mark best and second of every column, as printed; equal printed values share a mark.

    Only finite means count. Rows of unlike runs and random weights take no mark, nor does the time of the blurry input,
    which restores nothing, nor that of a command, which holds more than restoring. Times on different devices or
    precisions are not ranked at all.
    """
    for column in columns:
        if column.key == SECONDS and not same_device:
            continue
        shown = {}
        for position, row in enumerate(rows):
            value = row.value(column.key)
            idle = column.key == SECONDS and (row.method.name == IDENTITY or STARTUP in row.marks)
            if value is None or math.isinf(value) or idle or {MIXED, RANDOM} & set(row.marks):
                continue
            shown[position] = float(column.show(value))
        ranked = sorted(set(shown.values()), reverse=column.higher_is_better)
        if len(shown) < 2:
            continue
        marks: dict[float, Mark] = {ranked[0]: "best"}
        if len(ranked) > 1:
            marks[ranked[1]] = "second"
        for position, value in shown.items():
            cells = rows[position].cells
            cells[column.key] = replace(cells[column.key], mark=marks.get(value, ""))
    return rows
