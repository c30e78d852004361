"""Per-frame curves: one clip, or small multiples of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deblurbench.plots.style import SMALL, WIDTHS, Look, Theme, better, new_figure, plain_axes, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 1.15  # inches: height of one of several panels
ALONE = {WIDTHS["single"]: 2.1, WIDTHS["double"]: 2.6}
MARKS = 9  # markers on a curve


@dataclass(frozen=True)
class Panel:
    """One clip: the stems of its scored frames, and each method's values (None: none, inf: equal to the truth)."""

    name: str
    frames: Sequence[str]
    values: Mapping[str, Sequence[float | None]]


def curves(
    panels: Sequence[Panel], heading: str, looks: Mapping[str, Look], width: float, theme: Theme | None = None
) -> Figure:
    """Draw the curves; each panel has its own value axis, as clips differ more than methods do.

    A frame without a value leaves a gap; an infinite one is marked by ∞ at the upper edge.
    """
    theme = theme or Theme()
    columns = min(len(panels), 2 if width < 5 else 4)
    rows = -(-len(panels) // columns)
    height = ALONE.get(width, 2.3) if len(panels) == 1 else 0.45 + PANEL * rows
    figure = new_figure(width, height)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        _panel(axes, panel, looks, theme)
        if len(panels) > 1:
            name = shorten(panel.name, SMALL, width * 72 / columns * 0.85)
            axes.set_title(name, fontsize=SMALL, color=theme.text, pad=3, parse_math=False)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    _legend(figure, panels, looks, theme, width)
    what = f"frame of {panels[0].name}" if len(panels) == 1 else "frame"
    figure.supxlabel(shorten(what, 8, width * 66), fontsize=8, color=theme.text, parse_math=False)
    figure.supylabel(better(heading), fontsize=8, color=theme.text, parse_math=False)
    return figure


def _panel(axes: Axes, panel: Panel, looks: Mapping[str, Look], theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    plain_axes(axes, theme)
    for number, (label, values) in enumerate(panel.values.items()):
        _curve(axes, values, looks[label], number, theme.mark(label))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _stem(panel.frames, x)))
    axes.set_xlim(-0.5, max(1, len(panel.frames)) - 0.5)


def _stem(frames: Sequence[str], position: float) -> str:
    """A tick's text: the frame's name, without the zeros in front where it is a number."""
    inside = position == int(position) and 0 <= position < len(frames)
    name = frames[int(position)] if inside else ""
    return str(int(name)) if name.isdecimal() else name[-8:]


def _curve(axes: Axes, values: Sequence[float | None], look: Look, number: int, name: str | None) -> None:
    finite = [v if v is not None and math.isfinite(v) else math.nan for v in values]
    step = max(1, len(values) // MARKS)
    (line,) = axes.plot(
        range(len(values)), finite, color=look.colour, linestyle=look.dashes, linewidth=1.1, marker=look.marker,
        markersize=3.2, markevery=(number * step // 3 % step, step), markeredgewidth=0.8 if look.marker == "x" else 0,
    )  # fmt: skip
    line.set_gid(name)
    for position, value in enumerate(values):
        if value is not None and math.isinf(value):
            axes.annotate(
                "∞", (position, 1), xycoords=("data", "axes fraction"), ha="center", va="top", color=look.colour
            )


def _legend(figure: Figure, panels: Sequence[Panel], looks: Mapping[str, Look], theme: Theme, width: float) -> None:
    from matplotlib.lines import Line2D

    labels = list(dict.fromkeys(label for panel in panels for label in panel.values))
    handles = [
        Line2D([], [], color=looks[label].colour, linestyle=looks[label].dashes, marker=looks[label].marker,
               linewidth=1.1, markersize=3.5, markeredgewidth=0.8 if looks[label].marker == "x" else 0)
        for label in labels
    ]  # fmt: skip
    names = [shorten(label, SMALL, width * 30) for label in labels]
    legend = figure.legend(
        handles, names, loc="outside upper center", ncols=_columns(names, width), fontsize=SMALL, frameon=False,
        handlelength=2.8, columnspacing=1.2, borderpad=0.1, labelcolor=theme.text,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _columns(names: Sequence[str], width: float) -> int:
    wide = [text_width(name, SMALL) for name in names]
    if sum(wide) + 36 * len(wide) <= width * 72:
        return len(wide)
    widest = max(wide) + 36
    return max(1, min(len(names), int(width * 72 / widest)))
