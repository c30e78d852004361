"""Inline SVG, drawn here: per-frame curves and per-clip dots. Colours come from the page's style sheet by class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from deblurbench.tables import Column

from .palette import Style


@dataclass(frozen=True)
class Series:
    """One method's values: None where there is none, inf where a frame equals the ground truth."""

    label: str
    style: Style
    values: Sequence[float | None]


@dataclass(frozen=True)
class Scale:
    """A linear map from values to pixels, with round tick values."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    decimals: int

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def show(self, tick: float) -> str:
        """A tick as text."""
        return f"{tick:.{self.decimals}f}"


def scale(values: Sequence[float], start: float, end: float, count: int = 4) -> Scale:
    """A scale over finite `values` with about `count` round ticks and a little room at both ends."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = (high - low) * 0.06 or abs(high) * 0.01 or 0.5
    low, high = low - room, high + room
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if rough <= m * power * (1 + 1e-9))
    first = math.ceil(low / step - 1e-9)
    ticks = tuple(n * step for n in range(first, math.floor(high / step + 1e-9) + 1))
    return Scale(low, high, start, end, ticks, max(0, -math.floor(math.log10(step) + 1e-9)))


def curves(name: str, frames: Sequence[str], series: Sequence[Series], column: Column) -> Markup:
    """Per-frame curves of one clip, 400 x 190 units, a line a method: on paper and without scripts."""
    finite = [v for s in series for v in s.values if v is not None and math.isfinite(v)]
    y = scale(finite, 160, 14)
    x = Scale(0, max(1, len(frames) - 1), 44, 388, (), 0)
    parts = [_grid_rows(y, 44, 388)]
    for one in series:
        parts += _lines(one, x, y)
    parts.append(_text(44, 180, frames[0] if frames else "", "tick start"))
    if len(frames) > 1:
        parts.append(_text(388, 180, frames[-1], "tick end"))
    label = f"{column.title} of each scored frame of clip {name}"
    return _svg("curve", 400, 190, label, parts)


def dots(clips: Sequence[str], series: Sequence[Series], column: Column) -> Markup:
    """One line a clip with a dot a method, on a common axis; 960 units wide."""
    finite = [v for s in series for v in s.values if v is not None and math.isfinite(v)]
    height = 26 * len(clips) + 34
    x = scale(finite, 24 + 7.5 * max(map(len, map(_short, clips)), default=0), 944, 8)
    parts = [
        Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="6" y2="{1}"/>{2}').format(
            x(tick), height - 24, _text(x(tick), height - 8, x.show(tick), "tick middle")
        )
        for tick in x.ticks
    ]
    for row, clip in enumerate(clips):
        parts.append(_clip_row(clip, 20 + 26 * row, x, [(s, s.values[row]) for s in series], column))
    return _svg("dots", 960, height, f"{column.title} of each clip", parts)


def _clip_row(clip: str, y: float, x: Scale, points: Sequence[tuple[Series, float | None]], column: Column) -> Markup:
    known = [(s, v) for s, v in points if v is not None and math.isfinite(v)]
    parts = [
        Markup('<text class="label" x="0" y="{:.0f}">{}<title>{}</title></text>').format(y + 4, _short(clip), clip)
    ]
    if known:
        ends = [x(v) for _, v in known]
        parts.append(
            Markup('<line class="span" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(min(ends), max(ends), y, y)
        )
    for one, value in known:
        text = f"{one.label}: {column.show(value)} {column.unit}".rstrip()
        dot = '<g class="{}" data-method="{}">{}<title>{}, {}</title></g>'
        parts.append(Markup(dot).format(one.style.classes, one.label, _marker(one.style, x(value), y), clip, text))
    return Markup("").join(parts)


def _short(clip: str) -> str:
    return clip if len(clip) <= 24 else f"{clip[:14]}…{clip[-8:]}"


def _marker(style: Style, x: float, y: float) -> Markup:
    """A dot, square, triangle or diamond, by the style's dash number."""
    if style.dash == 0:
        return Markup('<circle class="dot" cx="{:.1f}" cy="{:.0f}" r="5"/>').format(x, y)
    turn = {1: 0, 2: 30, 3: 45}[style.dash]
    shape = '<rect class="dot" x="{:.1f}" y="{:.1f}" width="9" height="9" transform="rotate({} {:.1f} {:.1f})"/>'
    return Markup(shape).format(x - 4.5, y - 4.5, turn, x, y)


def swatch(style: Style) -> Markup:
    """A short line and dot in a method's colour, for legends."""
    line = '<line class="line" x1="1" x2="23" y1="6" y2="6"/>'
    head = '<svg class="swatch {}" viewBox="0 0 24 12" aria-hidden="true">' + line + "</svg>"
    return Markup(head).format(style.classes)


def _lines(one: Series, x: Scale, y: Scale) -> list[Markup]:
    """Polylines between gaps, single points as dots, and a sign for infinite values."""
    runs: list[list[tuple[float, float]]] = [[]]
    infinite = []
    for position, value in enumerate(one.values):
        if value is not None and math.isfinite(value):
            runs[-1].append((x(position), y(value)))
        else:
            infinite += [x(position)] if value is not None else []
            runs.append([])
    parts = []
    for run in filter(None, runs):
        if len(run) > 1:
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in run)
            parts.append(Markup('<polyline class="line" points="{}"/>').format(points))
        else:
            parts.append(Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="2.5"/>').format(*run[0]))
    parts += [Markup('<text class="inf" x="{:.1f}" y="11">∞</text>').format(at) for at in infinite]
    group = Markup('<g class="{}" data-method="{}">{}</g>')
    return [group.format(one.style.classes, one.label, Markup("").join(parts))] if parts else []


def _grid_rows(y: Scale, left: float, right: float) -> Markup:
    row = '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>{}'
    return Markup("").join(
        Markup(row).format(left, right, y(t), y(t), _text(left - 6, y(t) + 4, y.show(t), "tick end")) for t in y.ticks
    )


def _text(x: float, y: float, text: str, classes: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(classes, x, y, text)


def _svg(classes: str, width: float, height: float, label: str, parts: Sequence[Markup]) -> Markup:
    head = '<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    return Markup(head).format(classes, width, height, escape(label), Markup("").join(parts))


def by_label(values: Mapping[str, Sequence[float | None]], looks: Mapping[str, Style]) -> list[Series]:
    """Series in the order of `looks`, for the labels that have values."""
    return [Series(label, style, values[label]) for label, style in looks.items() if label in values]
