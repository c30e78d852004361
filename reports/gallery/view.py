"""What the page shows, as plain values for the template: every number is formatted here, every name escaped there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from deblurbench.analysis.statistics import Paired, clip_means
from deblurbench.plots.style import Look
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.manifest import ClipRecord, Manifest
from deblurbench.tables import Cell, Column, ResultTable, Row
from deblurbench.tables.model import SECONDS, significant
from deblurbench.tables.papers import paper_note
from deblurbench.text import counted

from . import palette
from .palette import is_reference
from .pictures import GROUND_TRUTH, Gallery, Moment, Shot
from .verdict import Rivals

DASH = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class CellView:
    """A table cell: texts, CSS classes and the key it sorts by."""

    text: str
    sort: str
    mark: str = ""
    interval: str = ""
    difference: str = ""
    verdict: str = ""
    near_best: bool = False
    extra: str = ""
    hint: str = ""


@dataclass(frozen=True)
class RowView:
    """A table row; `cells` is empty and `reason` set where the method did not finish.

    `papers` are lines about published numbers: value and difference, or why they do not compare; `paper_sort` the first
    difference.
    """

    label: str
    title: str
    marks: str
    weights: str
    swatch: Markup
    reference: bool
    state: str
    reason: str
    tracebacks: tuple[tuple[str, str], ...]
    cells: tuple[CellView, ...]
    papers: tuple[str, ...] = ()
    paper_sort: str = ""


@dataclass(frozen=True)
class ShotView:
    """A picture with its caption."""

    shot: Shot
    title: str
    value: str
    difference: str
    worse: bool
    swatch: Markup | None
    kind: str


@dataclass(frozen=True)
class MomentView:
    """One frame of a clip with its pictures; `crop` in words."""

    moment: Moment
    shots: tuple[ShotView, ...]
    crop: str
    shown: bool


def heading(column: Column) -> str:
    """Unit of a column for the second line of its head."""
    return "per frame" if column.key == SECONDS else column.unit


def rows(table: ResultTable, looks: Mapping[str, Look], near: Mapping[str, Rivals]) -> list[RowView]:
    """The result table's rows."""
    return [_row(table, row, looks, near) for row in table.rows]


def _row(table: ResultTable, row: Row, looks: Mapping[str, Look], near: Mapping[str, Rivals]) -> RowView:
    manifest = table.runs[row.run].manifest
    outcomes = [manifest.outcome(row.method.id, clip.name) for clip in manifest.clips]
    failures = [o for o in outcomes if o.status == "failed"]
    tied = {key for key, found in near.items() if row.label in found.tied}
    published = {c.key: d for c in table.metrics if (d := _paper_difference(row, c)) is not None}
    return RowView(
        label=row.label,
        title=row.method.title if row.method.title != row.label else "",
        marks="".join(row.marks),
        weights="" if row.weights == DASH else row.weights,
        swatch=palette.swatch(looks[row.label]),
        reference=is_reference(table, row),
        state=row.summary.state,
        reason=row.summary.reason,
        tracebacks=tuple((f"{o.clip}: {o.reason}", o.traceback) for o in failures),
        cells=tuple(_cell(row, c, c.key in tied) for c in table.columns) if row.ok else (),
        papers=tuple(_paper(row, c) for c in table.metrics if c.key in published)
        or tuple(filter(None, [paper_note(row, manifest)])),
        paper_sort=next((repr(difference) for difference in published.values()), ""),
    )


def _paper_difference(row: Row, column: Column) -> float | None:
    """Ours minus the published value, where one compares."""
    cell = row.cells.get(column.key)
    return cell.value - cell.paper.value if cell and cell.paper and cell.value is not None else None


def _paper(row: Row, column: Column) -> str:
    """'PSNR 29.97 dB, ours +0.03 (Table 1)'."""
    published, difference = row.cells[column.key].paper, _paper_difference(row, column)
    assert published is not None and difference is not None
    value = f"{column.show(published.value)} {column.unit}".rstrip()
    return f"{column.label} {value}, ours {column.show_difference(difference)} ({published.source})"


def _cell(row: Row, column: Column, near_best: bool) -> CellView:
    cell = row.cells.get(column.key)
    if cell is None or cell.value is None:
        return CellView(DASH, "")
    if column.key == SECONDS:
        return _time(row, cell)
    interval = f"{column.show(cell.interval.low)} to {column.show(cell.interval.high)}" if cell.interval else ""
    if cell.infinite:
        interval = f"{interval} · {cell.infinite} {TIMES} ∞".lstrip(" ·")
    return CellView(
        column.show(cell.value),
        repr(cell.value),
        cell.mark,
        interval,
        difference=column.show_difference(cell.paired.difference) if cell.paired else "",
        verdict=cell.paired.verdict if cell.paired and cell.paired.verdict != "too few clips" else "",
        near_best=near_best,
        hint=_hint(cell, column),
    )


def _time(row: Row, cell: Cell) -> CellView:
    seconds = cell.value or 0.0
    tail = f"p95 {duration(cell.p95 or 0)}"
    rate = f"{significant(1 / seconds)} fps" if seconds and row.method.name != IDENTITY else ""
    hint = f"median of {counted(cell.frames, 'frame')} without warm-up; 95th percentile {duration(cell.p95 or 0)}"
    return CellView(duration(seconds), repr(seconds), cell.mark, tail, extra=rate, hint=hint)


def _hint(cell: Cell, column: Column) -> str:
    lines = [f"mean of {counted(cell.frames, column.level)}"]
    if column.level == "frame":
        lines[0] += f"; mean of clip means {show(column, cell.clip_mean)}"
    if cell.paired:
        lines.append(compared(cell.paired, column))
    return "\n".join(lines)


def compared(paired: Paired, column: Column) -> str:
    """A paired comparison in words, with everything needed to judge it."""
    text = f"{column.show_difference(paired.difference)} {column.unit}".rstrip()
    if paired.interval:
        text += f" [{column.show_difference(paired.interval.low)}, {column.show_difference(paired.interval.high)}]"
    text += f" in the mean over clips against {paired.reference}"
    text += f"; better on {paired.wins} of {counted(paired.clips, 'clip')}"
    if paired.verdict != "too few clips":
        text += f"; p = {paired.p_adjusted:.2g}, adjusted for all pairs of methods: {paired.verdict}"
    return text


def duration(seconds: float) -> str:
    """Seconds as '66.4 ms' or '1.24 s'."""
    return f"{significant(seconds * 1000)} ms" if seconds < 1 else f"{significant(seconds)} s"


def quoted(text: str) -> str:
    """A text as a value of the viewer's address."""
    return quote(text, safe="")


def show(column: Column, value: float | None) -> str:
    """A value as printed, a dash for none."""
    return DASH if value is None else column.show(value)


def clip_values(table: ResultTable, column: Column) -> dict[str, list[float | None]]:
    """Label -> mean of each clip, None where a method has none; failed methods keep their finished clips."""
    names = [clip.name for clip in table.clips]
    found = {}
    for row in table.rows:
        means = clip_means(table.runs[row.run], row.method.id, column.key)
        if means:
            found[row.label] = [means.get(name) for name in names]
    return found


def stems(clip: ClipRecord) -> list[str]:
    """The frames of a clip that may have values: those scored, all where there is no ground truth."""
    return clip.scored or clip.frames


def frame_values(table: ResultTable, column: Column) -> dict[str, dict[str, dict[str, float]]]:
    """Clip -> label -> frame -> value, of frame-level scores."""
    found: dict[str, dict[str, dict[str, float]]] = {clip.name: {} for clip in table.clips}
    for row in table.rows:
        for clip, values in table.runs[row.run].values_by_clip(row.method.id, column.key).items():
            if clip in found and "" not in values:
                found[clip][row.label] = values.to_dict()
    return found


def moments(
    table: ResultTable,
    gallery: Gallery,
    looks: Mapping[str, Look],
    values: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> dict[str, list[MomentView]]:
    """Clip -> its frames with pictures and captions; the middle frame is the one shown first."""
    found = {}
    for clip, chosen in gallery.moments.items():
        scores = values.get(clip, {})
        found[clip] = [
            _moment(table, m, looks, {k: v.get(m.frame) for k, v in scores.items()}, n == len(chosen) // 2)
            for n, m in enumerate(chosen)
        ]
    return found


def _moment(
    table: ResultTable, moment: Moment, looks: Mapping[str, Look], scores: Mapping[str, float | None], shown: bool
) -> MomentView:
    shots = tuple(_shot(table, shot, looks, scores) for shot in moment.shots)
    crop = ""
    if moment.crop:
        x, y, width, height = moment.crop
        crop = f"{width} {TIMES} {height} pixels at ({x}, {y})"
    return MomentView(moment, shots, crop, shown)


def _shot(table: ResultTable, shot: Shot, looks: Mapping[str, Look], scores: Mapping[str, float | None]) -> ShotView:
    if shot.label == GROUND_TRUTH:
        return ShotView(shot, "Ground truth", "", "", False, None, "truth")
    row = next(r for r in table.rows if r.label == shot.label)
    reference = is_reference(table, row)
    value = scores.get(shot.label)
    text, difference, worse = "", "", False
    if value is not None and table.metrics:
        column = table.metrics[0]
        text = f"{column.show(value)} {column.unit}".rstrip()
        base = next((v for r in table.rows if is_reference(table, r) and (v := scores.get(r.label)) is not None), None)
        if base is not None and not reference and math.isfinite(value) and math.isfinite(base):
            difference = column.show_difference(value - base)
            worse = value < base if column.higher_is_better else value > base
    title = "Blurry input" if row.method.name == IDENTITY else shot.label
    return ShotView(
        shot, title, text, difference, worse, palette.swatch(looks[shot.label]), "input" if reference else "method"
    )


def facts(table: ResultTable, manifest: Manifest) -> list[tuple[str, str]]:
    """Name and value of what a reader wants to know about a run at a glance."""
    protocol = manifest.protocol
    left = "all frames scored"
    if not any(clip.ground_truth for clip in manifest.clips):
        left = "no ground truth, so that nothing is compared with it"
    elif any(protocol.leave_out):
        first, last = protocol.leave_out
        left = f"the first {first} and last {last} frames of a clip are restored, not scored"
    packages = manifest.environment.get("packages", {})
    versions = ", ".join(f"{k} {v}" for k, v in {"deblurbench": manifest.deblurbench, **packages}.items())
    computed = {column.key for column in table.metrics}
    machine = ", ".join(str(manifest.environment[k]) for k in ("cpu", "platform") if k in manifest.environment)
    source = manifest.environment.get("source", {})
    commit = f"{source.get('commit', '')}{' with uncommitted changes' if source.get('dirty') else ''}"
    found = [
        ("Dataset", f"{manifest.dataset_title} ({manifest.dataset}), {manifest.split} split"),
        ("Coverage", f"{'PARTIAL: ' if manifest.partial else ''}{manifest.coverage}"),
        ("Protocol", f"{protocol.name}, version {protocol.version}: {protocol.blur} blur; {left}"),
        ("Protocol digest", manifest.protocol_digest),
        ("Device", manifest.device),
        ("Precision", manifest.precision + (f", tiles of {manifest.tile} px with overlap" if manifest.tile else "")),
        ("Machine", machine),
        ("Versions", versions),
        ("Commit", commit),
        ("Metrics", ", ".join(f"{m.id} v{m.version}" for m in manifest.metrics if m.id in computed)),
        ("Started", manifest.created),
        ("Finished", manifest.finished or "not finished"),
    ]
    return [(name, value) for name, value in found if value]
