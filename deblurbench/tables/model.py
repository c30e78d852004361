"""What a comparison table is, before anything renders it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from deblurbench.analysis.pairs import Pairs
from deblurbench.analysis.statistics import Interval, MethodSummary, Paired
from deblurbench.registry.cards import Published
from deblurbench.results.manifest import ClipRecord, MethodRecord, MetricRecord
from deblurbench.results.run import Run

Mark = Literal["", "best", "second"]
SECONDS = "seconds"
MIXED, RANDOM, SEEN, LEAK, STARTUP, TILED = "†", "‡", "§", "¶", "‖", "◊"


@dataclass(frozen=True)
class Column:
    """A metric (or `seconds`) of the table: `key` is the metric's id, `label` its short printed name.

    `level` says what one value is of.
    """

    key: str
    label: str
    title: str
    unit: str
    higher_is_better: bool
    decimals: int
    level: Literal["frame", "clip"] = "frame"

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return "↑" if self.higher_is_better else "↓"

    @property
    def heading(self) -> str:
        """Label, unit and arrow, e.g. 'PSNR (dB) ↑'."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.label}{unit} {self.arrow}"

    def show(self, value: float) -> str:
        """A value as printed: the metric's decimals; seconds with three significant digits; infinity as ∞."""
        if math.isinf(value):
            return "∞"
        return significant(value) if self.key == SECONDS else f"{value:.{self.decimals}f}"

    def show_difference(self, value: float) -> str:
        """A difference with its sign (a true minus sign)."""
        text = f"{value:+.{self.decimals}f}"
        return text.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Cell:
    """A value with all that may stand beside it. `value` is None where there is none."""

    value: float | None = None
    mark: Mark = ""
    interval: Interval | None = None
    clip_mean: float | None = None
    infinite: int = 0
    frames: int = 0
    paired: Paired | None = None
    p95: float | None = None
    paper: Published | None = None


@dataclass(frozen=True)
class Row:
    """A method of a run. `marks` are footnote signs; `reason` is set where `state` is not "ok"."""

    run: int
    method: MethodRecord
    label: str
    marks: tuple[str, ...]
    summary: MethodSummary
    cells: dict[str, Cell]

    @property
    def ok(self) -> bool:
        """Whether the method finished every clip."""
        return self.summary.state == "ok"

    def value(self, key: str) -> float | None:
        """The mean in column `key`; None where there is none."""
        return self.cells[key].value if key in self.cells else None

    @property
    def name(self) -> str:
        """The label with its footnote signs."""
        return f"{self.label} {''.join(self.marks)}".rstrip()

    @property
    def weights(self) -> str:
        """The weights in words: tag, 'random' or a dash."""
        if self.method.random_weights:
            return "random"
        return self.method.weights or "\N{EN DASH}"


@dataclass(frozen=True)
class ResultTable:
    """Rows with the reference first and then the best by the first metric, columns with at least one value, and notes.

    `caption` describes the runs, `notes` explains footnote signs, `warnings` are what a reader must not miss,
    `paper_notes` say why a published number does not stand in the table. `pairs` holds the test of all pairs of rows by
    metric, without the rows of runs that are not comparable.
    """

    runs: tuple[Run, ...]
    reference: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    paper_notes: tuple[str, ...] = ()
    pairs: dict[str, Pairs] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[Column, ...]:
        """The columns that are metrics."""
        return tuple(column for column in self.columns if column.key != SECONDS)

    @property
    def failed(self) -> tuple[Row, ...]:
        """Rows without means."""
        return tuple(row for row in self.rows if not row.ok)

    def papers(self, column: Column) -> bool:
        """Whether any method has a comparable published value of this metric."""
        return any(row.cells[column.key].paper for row in self.rows if column.key in row.cells)

    @property
    def clips(self) -> tuple[ClipRecord, ...]:
        """The clips of the first run (all runs of an unmixed table have the same)."""
        return tuple(self.runs[0].manifest.clips)


def significant(value: float, digits: int = 3) -> str:
    """A positive number with `digits` significant digits and no exponent: 0.00123, 1.24, 312."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 9)}f}"


LABELS = {"psnr": "PSNR", "ssim": "SSIM", "psnr-y": "PSNR-Y", "ssim-y": "SSIM-Y", "ssim-matlab3d": "SSIM (MATLAB 3-D)"}


TIME = Column(SECONDS, "Time", "restore time per frame, median", "s/frame", False, 4)


def _columns(runs: Sequence[Run]) -> tuple[Column, ...]:
    columns: dict[str, Column] = {}
    for metric in [m for run in runs for m in run.manifest.metrics if not m.absent]:
        columns.setdefault(metric.id, _column(metric))
    return (*columns.values(), TIME)


def _column(metric: MetricRecord) -> Column:
    label = LABELS.get(metric.id, metric.id.upper() if len(metric.id) < 5 else metric.id)
    unit = "" if metric.unit in ("", "1", "none") else metric.unit
    return Column(metric.id, label, metric.title or label, unit, metric.higher_is_better, metric.decimals, metric.level)
