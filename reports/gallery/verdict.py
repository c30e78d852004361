"""What the table says in words: the best method, what it gains, and which others cannot be told from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from deblurbench.analysis.pairs import shortage
from deblurbench.analysis.statistics import Paired
from deblurbench.registry.cards import IDENTITY
from deblurbench.tables import Column, ResultTable, Row
from deblurbench.tables.model import MIXED, RANDOM

from .palette import is_reference


@dataclass(frozen=True)
class Rivals:
    """The best row of a metric, and the labels of those that a paired test does not tell from it.

    `tied`: the test has enough clips and finds no difference. `unsure`: there are too few clips for any test.
    """

    best: str
    tied: tuple[str, ...]
    unsure: tuple[str, ...]


def rivals(table: ResultTable) -> dict[str, Rivals]:
    """Metric id -> its best row and those not distinguishable from it, for metrics with two or more ranked rows."""
    near = {}
    for column in table.metrics:
        order = [row.label for row in ranked(table, column)]
        if len(order) > 1:
            pairs = table.pairs[column.key]
            best, *others = order
            close = tuple(label for label in others if not pairs.distinct(best, label))
            near[column.key] = Rivals(best, close, ()) if pairs.enough else Rivals(best, (), tuple(others))
    return near


def verdict(table: ResultTable, near: Mapping[str, Rivals]) -> list[str]:
    """What the table says, in one to three sentences, with its uncertainty; about the first metric."""
    if not table.metrics:
        return ["There is no ground truth, so there are no scores: judge by the pictures and the times."]
    column = table.metrics[0]
    order = ranked(table, column)
    if not order:
        return ["No method finished all clips, so there is nothing to rank."]
    best = order[0]
    cell = best.cells[column.key]
    value = f"{column.show(cell.value or 0)} {column.unit}".rstrip()
    if len(table.rows) == 1:
        name = "The blurry input" if best.method.name == IDENTITY else best.label
        return [f"{name} has a mean {column.label} of {value}."]
    if len(order) == 1 and is_reference(table, best):
        missing = "no trained method" if table.reference == IDENTITY else "no other trained method"
        return [f"Nothing to compare with {_named(table.reference)} ({value} {column.label}): {missing} finished."]
    if is_reference(table, best):
        return [
            f"No method is better than {_named(table.reference)} ({value} {column.label}).",
            *_unresolved(table, near.get(column.key)),
        ]
    lines = [f"{best.label} has the highest mean {column.label}: {value}."]
    if not column.higher_is_better:
        lines = [f"{best.label} has the lowest mean {column.label}: {value}."]
    if cell.paired:
        lines.append(_against_reference(cell.paired, column))
    return lines + _unresolved(table, near.get(column.key))


def ranked(table: ResultTable, column: Column) -> list[Row]:
    """Rows that may be called best, best first: finite means of trained, comparable methods."""
    fit = [r for r in table.rows if not {MIXED, RANDOM} & set(r.marks) and math.isfinite(_value(r, column))]
    return sorted(fit, key=lambda r: _value(r, column), reverse=column.higher_is_better)


def _value(row: Row, column: Column) -> float:
    value = row.value(column.key)
    return math.inf if value is None else value


def _named(reference: str) -> str:
    return "the blurry input" if reference == IDENTITY else reference


def _against_reference(paired: Paired, column: Column) -> str:
    difference = f"{column.show_difference(paired.difference)} {column.unit}".rstrip()
    text = f"Against {_named(paired.reference)} the mean over clips changes by {difference}"
    if paired.verdict == "too few clips":
        return f"{text}; {shortage(paired.clips)}."
    if paired.interval:
        low, high = column.show_difference(paired.interval.low), column.show_difference(paired.interval.high)
        text += f" (95 % interval {low} to {high})"
    if paired.verdict == "tied":
        return f"{text}: tied, the test of all pairs sees no difference on these clips."
    return f"{text}, {paired.verdict} on {paired.wins} of {paired.clips} clips."


def _unresolved(table: ResultTable, near: Rivals | None) -> list[str]:
    """Which other methods cannot be told from the best."""
    if near is None:
        return []
    if near.unsure and len(table.clips) > 1:
        return [f"Which methods differ is not tested: {shortage(len(table.clips))}."]
    return [f"Not distinguishable from it on these clips: {', '.join(near.tied)}."] if near.tied else []
