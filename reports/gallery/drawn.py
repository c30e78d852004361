"""The plots of the page, drawn by `deblurbench.plots`: every clip, every frame, and quality against runtime.

Clips and frames differ by far more than methods do, so they are drawn as the gain over the reference, and as values
beside it for a switch on the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from deblurbench.analysis.statistics import Interval
from deblurbench.plots import web
from deblurbench.plots.clips import Series, clips
from deblurbench.plots.curves import Panel, curves
from deblurbench.plots.style import DASHES, Look
from deblurbench.tables import Column, ResultTable, Row

from . import view
from .palette import HEAT, is_reference
from .playback import Film
from .shown import GROUND_TRUTH
from .verdict import ranked

CLIPS_WIDTH, FRAMES_WIDTH = 4.6, 6.875  # inches
HEAT_FROM = 5  # methods
GAIN, ABSOLUTE = "gain", "absolute"

ByClip = dict[str, list[float | None]]  # label -> value of each clip


@dataclass(frozen=True)
class HeatCell:
    """One clip by one method: the gain as printed, the CSS class of its colour, and the viewer's address."""

    text: str
    classes: str
    link: str
    title: str


@dataclass(frozen=True)
class Heat:
    """Clips by methods: the best method first, the clip with the largest gain first."""

    labels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[HeatCell, ...]], ...]


@dataclass(frozen=True)
class Plot:
    """One metric's plots: `scales` maps gain and absolute to (clips, frames); `figures` are the values of each clip."""

    column: Column
    scales: Mapping[str, tuple[Markup, Markup]]
    per_frame: tuple[str, ...]
    figures: tuple[tuple[str, list[str]], ...]
    methods: tuple[str, ...]
    heat: Heat | None


def plot(table: ResultTable, looks: Mapping[str, Look], column: Column, links: Mapping[str, str]) -> Plot:
    """Draw one metric; `links` are the viewer's addresses of clips with pictures."""
    by_clip, by_frame = view.clip_values(table, column), view.frame_values(table, column)
    names = [clip.name for clip in table.clips]
    panels = [panel for panel in _panels(table, by_frame) if panel.frames]
    base = _base(table, by_clip)
    scales = {}
    for name in (GAIN, ABSOLUTE) if base else (ABSOLUTE,):
        gain = name == GAIN
        series = _series(
            table, column, {k: _less(v, by_clip[base]) for k, v in by_clip.items()} if gain else by_clip, gain
        )
        shown = [_gains(panel, base) for panel in panels] if gain else panels
        scales[name] = (
            _clips(names, series, _heading(column, gain), looks, f"{column.key} {name}"),
            _frames(shown, _heading(column, gain), looks, f"{column.key} {name}") if not scales else Markup(""),
        )
    figures = tuple((name, [view.show(column, v[n]) for v in by_clip.values()]) for n, name in enumerate(names))
    heat = _heat(table, column, names, by_clip, base, links) if base else None
    return Plot(column, scales, tuple(p.name for p in panels), figures, tuple(by_clip), heat)


def _base(table: ResultTable, by_clip: ByClip) -> str:
    """The label of the reference where it has values; empty otherwise, or where it stands alone."""
    label = next((row.label for row in table.rows if is_reference(table, row)), "")
    return label if label in by_clip and len(by_clip) > 1 else ""


def _heading(column: Column, gain: bool) -> str:
    return f"gain in {column.heading}" if gain else column.heading


def _less(values: Sequence[float | None], base: Sequence[float | None]) -> list[float | None]:
    """Differences; None where either is missing or infinite."""
    pairs = zip(values, base, strict=True)
    return [
        a - b if a is not None and b is not None and math.isfinite(a) and math.isfinite(b) else None for a, b in pairs
    ]


def _gains(panel: Panel, base: str) -> Panel:
    if base not in panel.values:
        return replace(panel, values={})
    return replace(panel, values={k: _less(v, panel.values[base]) for k, v in panel.values.items()})


def _series(table: ResultTable, column: Column, values: ByClip, gain: bool) -> list[Series]:
    found = []
    for row in table.rows:
        if row.label not in values:
            continue
        known = [v for v in values[row.label] if v is not None and math.isfinite(v)]
        mean = math.fsum(known) / len(known) if known and row.ok else math.nan
        shown = "" if math.isnan(mean) else column.show_difference(mean) if gain else column.show(mean)
        found.append(Series(row.label, values[row.label], mean, _interval(row, column, gain), shown))
    return found


def _interval(row: Row, column: Column, gain: bool) -> Interval | None:
    """The interval that stands in the table: of the paired difference, or of the mean over clips."""
    cell = row.cells.get(column.key)
    if cell is None:
        return None
    return (cell.paired.interval if cell.paired else None) if gain else cell.interval


def _panels(table: ResultTable, by_frame: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Panel]:
    panels = []
    for clip in table.clips:
        values = by_frame[clip.name]
        frames = [f for f in view.stems(clip) if any(f in found for found in values.values())]
        panels.append(Panel(clip.name, frames, {k: [v.get(f) for f in frames] for k, v in values.items()}))
    return panels


def _clips(names: Sequence[str], series: Sequence[Series], heading: str, looks: Mapping[str, Look], key: str) -> Markup:
    if not series:
        return Markup("")
    label = f"{heading} of each clip; the values stand below"
    draw = lambda: clips(names, series, heading, looks, CLIPS_WIDTH, web.THEME)  # noqa: E731
    return Markup(web.inline(draw, f"clips {key}", label))


def _frames(panels: Sequence[Panel], heading: str, looks: Mapping[str, Look], key: str) -> Markup:
    known = [panel for panel in panels if panel.values]
    if not known:
        return Markup("")
    draw = lambda: curves(known, heading, looks, FRAMES_WIDTH, web.THEME)  # noqa: E731
    return Markup(web.inline(draw, f"frames {key}", f"{heading} of each scored frame, a panel a clip"))


def flicker(film: Film, looks: Mapping[str, Look]) -> Markup:
    """How much each method's pixels change from frame to frame, beside the ground truth: what is above it flickers."""
    truth = {GROUND_TRUTH: Look(web.THEME.text, "", DASHES[0])} if GROUND_TRUTH in film.flicker else {}
    panel = Panel(film.clip, film.frames[1:], {label: list(values) for label, values in film.flicker.items()})
    heading = "flicker (grey levels)"
    draw = lambda: curves([panel], heading, {**looks, **truth}, FRAMES_WIDTH, web.THEME)  # noqa: E731
    return Markup(web.inline(draw, f"flicker {film.clip}", f"{heading} of {film.clip}, by every method"))


def _heat(
    table: ResultTable, column: Column, names: Sequence[str], by_clip: ByClip, base: str, links: Mapping[str, str]
) -> Heat | None:
    """The gain of each clip by each method, from five methods on."""
    order = [row.label for row in ranked(table, column) if row.label in by_clip]
    labels = [label for label in (*order, *(la for la in by_clip if la not in order)) if label != base]
    if len(labels) < HEAT_FROM:
        return None
    sign = 1 if column.higher_is_better else -1
    gains = {label: _less(by_clip[label], by_clip[base]) for label in labels}
    largest = max((abs(v) for values in gains.values() for v in values if v is not None), default=0) or 1

    def cell(label: str, place: int) -> HeatCell:
        value = gains[label][place]
        if value is None:
            return HeatCell(view.DASH, "", "", "")
        step = min(HEAT, math.ceil(HEAT * abs(value) / largest - 1e-9))
        classes = f"{'up' if sign * value > 0 else 'down'}{step}" if step else ""
        link = f"{links[names[place]]}&show={view.quoted(label)}" if names[place] in links else ""
        return HeatCell(column.show_difference(value), classes, link, f"{label}, {names[place]}")

    def mean(place: int) -> float:
        known = [v for values in gains.values() if (v := values[place]) is not None]
        return sign * math.fsum(known) / len(known) if known else -math.inf

    places = sorted(range(len(names)), key=mean, reverse=True)
    return Heat(tuple(labels), tuple((names[p], tuple(cell(label, p) for label in labels)) for p in places))
