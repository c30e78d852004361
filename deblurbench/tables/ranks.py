"""Mean ranks and counts of wins for the rows of a comparison table, and their renderings."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from deblurbench.analysis.pairs import shortage
from deblurbench.analysis.ranking import Ranking, rank
from deblurbench.tables.model import MIXED, RANDOM, Column, ResultTable, Row
from deblurbench.text import counted, plain_cell

if TYPE_CHECKING:
    import pandas as pd

HEAD = ("metric", "method", "mean_rank", "best_clips", "clips", "best_frames", "frames", "groups")


def rankings(table: ResultTable) -> list[Ranking]:
    """One ranking a metric, over the rows that finished and are comparable; none where these are fewer than two."""
    fit = [row for row in table.rows if row.ok and not {MIXED, RANDOM} & set(row.marks)]
    ranked = []
    for column in table.metrics:
        rows = [row for row in fit if column.key in row.cells]
        if len(rows) > 1:
            ranked.append(_rank(table, rows, column))
    return ranked


def _rank(table: ResultTable, rows: list[Row], column: Column) -> Ranking:
    values = {row.label: _values(table, row, column.key) for row in rows}
    frames = [frame for frame in next(iter(values.values())).index if all(frame in v.index for v in values.values())]
    by_clip = {label: _clip_means(series.loc[frames]) for label, series in values.items()}
    by_frame = {label: series.loc[frames].tolist() for label, series in values.items()}
    whole_clips = all(not frame for _, frame in frames)
    return rank(column.key, by_clip, {} if whole_clips else by_frame, column.higher_is_better)


def _values(table: ResultTable, row: Row, metric: str) -> pd.Series:
    """A row's values of one metric, indexed by (clip, frame)."""
    return table.runs[row.run].values(row.method.id, metric)


def _clip_means(values: pd.Series) -> list[float]:
    """Mean of the finite values of each clip, inf where a clip has none."""
    finite = values.where(values.abs() < math.inf)
    return [float(v) for v in finite.groupby(level="clip", sort=False).mean().fillna(math.inf)]


def count(wins: float | None) -> str:
    """A number of wins as printed: 6, or 5.5 where one was shared."""
    return "" if wins is None else f"{wins:.1f}".removesuffix(".0")


def groups(table: ResultTable, ranking: Ranking) -> tuple[tuple[str, ...], ...]:
    """The largest sets of ranked methods that the test of all pairs does not distinguish; () without enough clips."""
    return table.pairs[ranking.metric].groups([row.method for row in ranking.methods])


def verdict(table: ResultTable, ranking: Ranking) -> str:
    """What may be said about a ranking in one sentence."""
    pairs = table.pairs[ranking.metric]
    if not pairs.enough:
        return f"Which of them differ is not tested: {shortage(len(pairs.clips))}."
    tied = [", ".join(group) for group in groups(table, ranking)]
    return f"Not distinguishable on these clips: {'; '.join(tied)}." if tied else "All of them are distinguishable."


def sentence(table: ResultTable, ranking: Ranking) -> str:
    """The methods with their mean ranks, best first, and what may be said about them."""
    listed = ", ".join(f"{row.method} {row.mean_rank:.2f}" for row in ranking.methods)
    return f"{listed} (mean over {counted(ranking.clips, 'clip')}). {verdict(table, ranking)}"


def markdown(table: ResultTable) -> str:
    """A Markdown table of mean ranks and wins, a column a metric, and below it what each allows to say."""
    from deblurbench.tables.markdown import md_escape, md_row

    listed = rankings(table)
    if not listed:
        return ""
    labels = {column.key: column.label for column in table.metrics}
    ranked = {m.method for r in listed for m in r.methods}
    rows = [row for row in table.rows if row.label in ranked]
    lines = [md_row(["Method", *[f"{labels[r.metric]} rank" for r in listed]])]
    lines.append(md_row(["---", *["---:"] * len(listed)]))
    for row in rows:
        lines.append(md_row([md_escape(row.name), *[_cell(r, row.label) for r in listed]]))
    lines += ["", "- Mean rank over clips, 1 is best; in brackets on how many clips and frames the method is best."]
    lines += [f"- {md_escape(f'{labels[r.metric]}: {verdict(table, r)}')}" for r in listed]
    return "\n".join(lines) + "\n"


def _cell(ranking: Ranking, name: str) -> str:
    for row in ranking.methods:
        if row.method == name:
            wins = [f"{count(row.best_clips)} of {ranking.clips}"]
            wins += [] if row.best_frames is None else [f"{count(row.best_frames)} of {ranking.frames}"]
            return f"{row.mean_rank:.2f} ({', '.join(wins)})"
    return "\N{EN DASH}"


def csv_text(table: ResultTable) -> str:
    """One row a metric and method, best first, full precision; empty where there is no value.

    `groups` are numbers: methods that share one are not distinguishable.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for r in rankings(table):
        letters = {label: "" for label in table.pairs[r.metric].labels}
        for number, group in enumerate(groups(table, r), 1):
            for label in group:
                letters[label] = f"{letters[label]} {number}".strip()
        for m in r.methods:
            cells = (m.mean_rank, m.best_clips, r.clips, m.best_frames, r.frames)
            numbers = ["" if cell is None else repr(cell) for cell in cells]
            writer.writerow([r.metric, plain_cell(m.method), *numbers, letters[m.method]])
    return text.getvalue()


def as_values(table: ResultTable) -> list[dict[str, Any]]:
    """Plain values for JSON; `groups` are the sets of methods that are not distinguishable."""
    return [
        {
            **vars(r),
            "methods": [vars(m) for m in r.methods],
            "tested": table.pairs[r.metric].enough,
            "groups": [list(group) for group in groups(table, r)],
        }
        for r in rankings(table)
    ]
