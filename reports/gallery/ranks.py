"""Mean ranks, wins and their plot: inline SVG, the same for the same table.

Colours come from the page's style sheet by class, and from `currentColor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from deblurbench.analysis.ranking import Ranking
from deblurbench.tables import ResultTable, rankings
from deblurbench.tables.ranks import count, groups, verdict

from .palette import Style

WIDTH, LEFT, RIGHT = 960, 250, 710  # the axis stands between the labels
AXIS, STEP, GAP = 58, 24, 9
TEXT = '<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>'
LINE = '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="currentColor" stroke-width="{}"/>'


@dataclass(frozen=True)
class RankView:
    """One metric's ranking, ready to print: rows of (method, mean rank, clips won, frames won)."""

    label: str
    plot: Markup
    verdict: str
    rows: tuple[tuple[str, str, str, str], ...]


def context(table: ResultTable, looks: Mapping[str, Style], most: int = 3) -> list[RankView]:
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


def plot(ranking: Ranking, groups: Sequence[Sequence[str]], looks: Mapping[str, Style]) -> Markup:
    """The diagram: an axis of mean ranks, best left, a stem a method, a bar over those that are not distinguishable."""
    count_all = len(ranking.methods)
    bars = _bars(ranking, groups)
    below = AXIS + 14 + GAP * len(bars)
    better = (count_all + 1) // 2
    parts = [_axis(count_all), *bars]
    for place, row in enumerate(ranking.methods):
        left = place < better
        y = below + STEP * (place if left else count_all - 1 - place)
        parts.append(
            _stem(row.method, f"{row.mean_rank:.2f}", _x(row.mean_rank, count_all), y, left, looks[row.method])
        )
    height = below + STEP * (better - 1) + 14
    label = f"Mean rank by {ranking.metric} of {count_all} methods over {ranking.clips} clips; the values stand below"
    head = '<svg class="dots" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    return Markup(head).format(WIDTH, height, label, Markup("").join(parts))


def _x(rank: float, methods: int) -> float:
    return LEFT + (rank - 1) / (methods - 1) * (RIGHT - LEFT)


def _axis(methods: int) -> Markup:
    """Ticks at whole ranks; at most about ten are numbered."""
    every = max(1, methods // 10)
    parts = [Markup(LINE).format(LEFT, AXIS, RIGHT, AXIS, 1)]
    for rank in range(1, methods + 1, every):
        x = _x(rank, methods)
        parts += [Markup(LINE).format(x, AXIS - 5, x, AXIS, 1), Markup(TEXT).format("tick middle", x, AXIS - 9, rank)]
    return Markup("").join(parts)


def _bars(ranking: Ranking, groups: Sequence[Sequence[str]]) -> Sequence[Markup]:
    """A bar over each set of methods that are not distinguishable, from its best rank to its worst."""
    ranks = {row.method: row.mean_rank for row in ranking.methods}
    drawn = []
    for number, group in enumerate(groups):
        first, last = (_x(ranks[group[end]], len(ranks)) for end in (0, -1))
        y = AXIS + 8 + GAP * number
        drawn.append(Markup(LINE).format(first - 4, y, last + 4, y, 4))
    return drawn


def _stem(name: str, value: str, x: float, y: float, left: bool, style: Style) -> Markup:
    """From the axis down, then out to the label; the method's colour as a dot on the axis."""
    edge = LEFT - 14 if left else RIGHT + 14
    shown = name if len(name) <= 28 else f"{name[:17]}…{name[-10:]}"
    path = '<path d="M{:.1f} {}V{}H{}" fill="none" stroke="currentColor" stroke-width="1"/>'
    dot = '<circle class="dot" cx="{:.1f}" cy="{}" r="5"/>'
    text = '<text class="label{}" x="{}" y="{}">{} {}<title>{}: mean rank {}</title></text>'
    label = Markup(text).format(" end" if left else "", edge + (-6 if left else 6), y + 4, shown, value, name, value)
    parts = Markup(path).format(x, AXIS, y, edge) + Markup(dot).format(x, AXIS) + label
    return Markup('<g class="{}" data-method="{}">{}</g>').format(style.classes, name, parts)
