"""A training's log as a figure: the loss beside the input's, and validation beside the input's, over the steps.

Of a `-reg` training, which logs its gate, a last panel shows the mean gate activation and the paper's target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deblurbench.frames.files import write_atomically
from deblurbench.plots.style import COLOURS, DASHES, SMALL, Theme, new_figure, plain_axes, render
from deblurbench.training.log import read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (6.875, 2.5)  # inches, of up to three panels; a fourth makes the figure wider
WINDOW = 10  # the loss is smoothed over a tenth of the log
FIRST = 3  # the log's first steps stand alone; later lines are means over several
SOLID, DASHED = DASHES[0], DASHES[2]
BLUE, GREY = COLOURS[1], COLOURS[0]
GATE_TARGET = 0.75  # tau of the IFI-RNN paper's section 3.3
CHECKS = (("psnr", "identity", "mean over frames"), ("pooled", "pooled_identity", "of the pooled error"))

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Curve:
    """A line of a panel: its name in the legend, and values over steps."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]
    colour: str
    dashes: tuple[int, tuple[float, ...]] = SOLID


def draw_log(log: Path, target: Path, formats: Sequence[str] = (".svg", ".png")) -> None:
    """Write TARGET.svg and TARGET.png from a log.jsonl; the same log gives the same bytes. Nothing without a step.

    Raises:
        DiskError: no space or no permission.
    """
    rows = read_log(log)
    if not any("loss" in row for row in rows):
        return
    for suffix in formats:
        write_atomically(target.with_suffix(suffix), render(lambda: curves(rows), suffix).data)


def curves(rows: Rows) -> Figure:
    """The figure of a log's records: dicts with "step" and either "loss" and "input", or validation's PSNRs in dB."""
    steps = [row for row in rows if "loss" in row]
    steps = [row for row in steps if row["step"] > FIRST] or steps
    checks = [row for row in rows if "pooled" in row]
    gated = [row for row in steps if "gate" in row]
    count = 1 + (len(CHECKS) if checks else 0) + (1 if gated else 0)
    figure = new_figure(SIZE[0] * max(1.0, count / 3), SIZE[1])
    panels = figure.subplots(1, count, squeeze=False)[0]
    _losses(panels[0], steps)
    if checks:
        _validations(panels[1:], checks)
    if gated:
        _gates(panels[-1], gated)
    return figure


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """Centred running means over `window` values, fewer at the ends."""
    half = window // 2
    parts = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def window_of(count: int) -> int:
    """How many of `count` log lines the loss is smoothed over: an odd number."""
    return count // WINDOW // 2 * 2 + 1


def _losses(axes: Axes, rows: Rows) -> None:
    window, at = window_of(len(rows)), [row["step"] for row in rows]
    axes.plot(at, [row["loss"] for row in rows], color=BLUE, linewidth=0.5, alpha=0.3)
    told = [Curve("loss", at, smoothed([row["loss"] for row in rows], window), BLUE)]
    if all("input" in row for row in rows):
        told.append(Curve("blurry input's", at, smoothed([row["input"] for row in rows], window), GREY, DASHED))
    _draw(axes, told, f"training loss,\n{_how(window)}")
    if all(row["loss"] > 0 for row in rows):
        axes.set_yscale("log")


def _validations(panels: Sequence[Axes], checks: Rows) -> None:
    at = [row["step"] for row in checks]
    for axes, (restored, blurry, how) in zip(panels, CHECKS, strict=False):
        told = (
            Curve("restored", at, [row[restored] for row in checks], BLUE),
            Curve("blurry input", at, [row[blurry] for row in checks], GREY, DASHED),
        )
        _draw(axes, told, f"validation PSNR (dB),\n{how}")


def _gates(axes: Axes, rows: Rows) -> None:
    window, at = window_of(len(rows)), [row["step"] for row in rows]
    told = (
        Curve("gate", at, smoothed([row["gate"] for row in rows], window), BLUE),
        Curve(f"target {GATE_TARGET}", at, [GATE_TARGET] * len(at), GREY, DASHED),
    )
    axes.plot(at, [row["gate"] for row in rows], color=BLUE, linewidth=0.5, alpha=0.3)
    _draw(axes, told, f"mean gate activation,\n{_how(window)}")
    axes.set_ylim(0, 1)


def _how(window: int) -> str:
    return f"each line a mean of {window} log lines" if window > 1 else "unsmoothed"


def _draw(axes: Axes, told: Sequence[Curve], title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    theme = Theme()
    plain_axes(axes, theme)
    for curve in told:
        axes.plot(
            curve.steps, curve.values, color=curve.colour, linestyle=curve.dashes, linewidth=1.1, label=curve.name,
            marker="o" if len(curve.steps) == 1 else "", markersize=3,
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("step", color=theme.text)
    axes.set_title(title, fontsize=SMALL, color=theme.text, pad=3)
    axes.legend(fontsize=SMALL, frameon=False, labelcolor=theme.text, handlelength=2.6, borderpad=0.1)
