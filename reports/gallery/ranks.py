"""Mean ranks, wins and their plot on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from deblurbench.analysis.ranking import Ranking
from deblurbench.plots import web
from deblurbench.plots.ranks import ranks
from deblurbench.plots.style import Look
from deblurbench.tables import ResultTable, rankings
from deblurbench.tables.ranks import count, groups, verdict

WIDTH = 6.6  # inches


@dataclass(frozen=True)
class RankView:
    """One metric's ranking, ready to print: rows of (method, mean rank, clips won, frames won)."""

    label: str
    plot: Markup
    verdict: str
    rows: tuple[tuple[str, str, str, str], ...]


def context(table: ResultTable, looks: Mapping[str, Look], most: int = 3) -> list[RankView]:
    """The first metrics' rankings; none where fewer than two methods can be ranked."""
    labels = {column.key: column.heading for column in table.columns}
    names = {row.label: row.name for row in table.rows}  # with their footnote signs
    return [
        RankView(labels[r.metric], plot(r, groups(table, r), looks), verdict(table, r), _rows(r, names))
        for r in rankings(table)[:most]
    ]


def _rows(ranking: Ranking, names: Mapping[str, str]) -> tuple[tuple[str, str, str, str], ...]:
    return tuple(
        (
            names[m.method], f"{m.mean_rank:.2f}", f"{count(m.best_clips)} of {ranking.clips}",
            "" if m.best_frames is None else f"{count(m.best_frames)} of {ranking.frames}",
        )
        for m in ranking.methods
    )  # fmt: skip


def plot(ranking: Ranking, groups: Sequence[Sequence[str]], looks: Mapping[str, Look]) -> Markup:
    """The diagram as an SVG element; `groups` are sets of methods that are not distinguishable."""
    label = (
        f"Mean rank by {ranking.metric} of {len(ranking.methods)} methods over {ranking.clips} clips; "
        "the values stand below"
    )
    draw = lambda: ranks(ranking, groups, looks, WIDTH, web.THEME)  # noqa: E731
    return Markup(web.inline(draw, f"ranks {ranking.metric}", label))
