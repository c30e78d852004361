"""From stored runs to a comparison table: which rows, which marks, and every caveat a reader needs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from deblurbench.cards import IDENTITY, MethodCard, Published
from deblurbench.datasets.layouts import some
from deblurbench.errors import CardError, UsageError, counted, did_you_mean
from deblurbench.manifest import Manifest, MethodRecord, MetricRecord, unlike_data
from deblurbench.rooms import plugin
from deblurbench.selection import without
from deblurbench.statistics import MIN_CLIPS, MethodSummary, Summary, correct, summarise
from deblurbench.store import Run
from deblurbench.tables.model import (
    LEAK,
    MIXED,
    RANDOM,
    SECONDS,
    SEEN,
    STARTUP,
    TILED,
    Cell,
    Column,
    Mark,
    ResultTable,
    Row,
)

LABELS = {"psnr": "PSNR", "ssim": "SSIM", "psnr-y": "PSNR-Y", "ssim-y": "SSIM-Y", "ssim-matlab3d": "SSIM (MATLAB 3-D)"}
TIME = Column(SECONDS, "Time", "restore time per frame, median", "s/frame", False, 4)

CLIPPED_WORTH_TELLING = 0.05  # highlights clip a little in any good restoration


def build(runs: Sequence[Run], *, reference: str = IDENTITY, allow_mixed: bool = False) -> ResultTable:
    """Build the table of one or several runs.

    Runs under different protocols, scored frames or metric versions stand in one table only with `allow_mixed`; their
    rows are then marked. The same method's row of a later run is left out where it repeats the earlier one's numbers.

    Raises:
        UsageError: no run, unlike runs without `allow_mixed`, a reference that no run has, or a damaged scores.csv.
    """
    if not runs:
        raise UsageError("no run to report on: name at least one output folder of `deblurbench run`")
    mixed = _mixed(runs, allow_mixed)
    ids = [method.id for run in runs for method in run.manifest.methods]
    if reference not in (IDENTITY, *ids):
        raise UsageError(f"reference {reference!r}: no such method in {runs[0].folder}. {did_you_mean(reference, ids)}")
    columns = _columns(runs)
    same_device = len({(run.manifest.device, run.manifest.precision) for run in runs}) == 1
    rows = _mark(columns, _rows(runs, columns, reference, mixed), same_device)
    if any(row.ok for row in rows):
        columns = tuple(c for c in columns if any(c.key in row.cells for row in rows))
    return ResultTable(
        runs=tuple(runs),
        reference=reference,
        title=" + ".join(dict.fromkeys(run.manifest.dataset for run in runs)),
        columns=columns,
        rows=tuple(rows),
        caption=tuple(_caption(runs, columns, rows)),
        notes=_notes(rows, mixed),
        warnings=tuple(_warnings(runs, rows)),
        paper_notes=tuple(_paper_notes(runs, rows)),
    )


def _mixed(runs: Sequence[Run], allowed: bool) -> list[str]:
    """Why each run does not compare with one before it that does; empty where it compares with all of them.

    The first run does not tell all: it may lack the metric of which two later ones have unlike versions.
    """
    like: list[Run] = []
    reasons = []
    for run in runs:
        unlike = [(one, reason) for one in like if (reason := _unlike(one.manifest, run.manifest))]
        if unlike and not allowed:
            raise UsageError(
                f"{unlike[0][0].folder} and {run.folder} cannot share a table: {unlike[0][1]}. "
                "Report them apart, or pass --allow-mixed to have the rows marked."
            )
        if not unlike:
            like.append(run)
        reasons.append(unlike[0][1] if unlike else "")
    return reasons


def _unlike(first: Manifest, other: Manifest) -> str:
    """Why two runs cannot share a table; empty where they can."""
    if first.protocol_digest != other.protocol_digest:
        return (
            f"protocol {first.protocol.name} v{first.protocol.version} ({first.protocol_digest[:12]}) is not "
            f"{other.protocol.name} v{other.protocol.version} ({other.protocol_digest[:12]})"
        )
    versions = {m.id: m.version for m in first.metrics}
    for metric in other.metrics:
        if versions.get(metric.id, metric.version) != metric.version:
            return f"metric {metric.id} has version {versions[metric.id]} in one and {metric.version} in the other"
    if {c.name: c.scored for c in first.clips} != {c.name: c.scored for c in other.clips}:
        return f"they score different frames ({first.coverage}; {other.coverage})"
    return unlike_data(first, other)


def _columns(runs: Sequence[Run]) -> tuple[Column, ...]:
    found: dict[str, Column] = {}
    for metric in [m for run in runs for m in run.manifest.metrics if not m.absent]:
        found.setdefault(metric.id, _column(metric))
    return (*found.values(), TIME)


def _column(metric: MetricRecord) -> Column:
    label = LABELS.get(metric.id, metric.id.upper() if len(metric.id) < 5 else metric.id)
    unit = "" if metric.unit in ("", "1", "none") else metric.unit
    return Column(metric.id, label, metric.title or label, unit, metric.higher_is_better, metric.decimals, metric.level)


def _rows(runs: Sequence[Run], columns: Sequence[Column], reference: str, mixed: Sequence[str]) -> list[Row]:
    rows: list[Row] = []
    for number, run in enumerate(runs):
        for summary in summarise(run, reference):
            row = _row(number, run.manifest, summary, columns, bool(mixed[number]))
            if not any(_repeats(row, earlier) for earlier in rows):
                rows.append(row)
    _correct(rows, columns)
    counts = Counter(row.label for row in rows)
    labelled = [_with_run_name(row, runs) if counts[row.label] > 1 else row for row in rows]
    return sorted(labelled, key=lambda row: row.method.id != reference)


def _correct(rows: Sequence[Row], columns: Sequence[Column]) -> None:
    """Holm's correction over all rows of the table: those of several runs are one family, not one a run."""
    for column in columns:
        cells = {n: row.cells[column.key] for n, row in enumerate(rows) if column.key in row.cells}
        found = {n: cell.paired for n, cell in cells.items() if cell.paired}
        for n, paired in correct(found, column.higher_is_better).items():
            rows[n].cells[column.key] = replace(cells[n], paired=paired)
            rows[n].summary.paired[column.key] = paired


def _row(number: int, manifest: Manifest, summary: MethodSummary, columns: Sequence[Column], mixed: bool) -> Row:
    method = summary.method
    marks = [MIXED] if mixed else []
    marks += [RANDOM] if method.random_weights else []
    marks += [SEEN] if manifest.seen_in_training(method) else []
    marks += [LEAK] if any(s.infinite for s in summary.metrics.values()) else []
    marks += [STARTUP] if method.includes_startup else []
    marks += [TILED] if _tiled_again(manifest, method) else []
    paper = {} if manifest.partial else comparable_papers(manifest, method)
    cells = {}
    for column in columns:
        found = summary.metrics.get(column.key)
        if found:
            cells[column.key] = _cell(found, summary, column.key, paper.get(column.key))
    if summary.seconds:
        cells[SECONDS] = Cell(summary.seconds.median, frames=summary.seconds.frames, p95=summary.seconds.p95)
    return Row(number, method, method.id, tuple(marks), summary, cells)


def _tiled_again(manifest: Manifest, method: MethodRecord) -> list[int]:
    """Sides of the tiles of those clips that ran out of memory as a whole."""
    return [o.tile for o in manifest.outcomes if o.method == method.id and o.tile and o.status == "ok"]


def _cell(found: Summary, summary: MethodSummary, key: str, paper: Published | None) -> Cell:
    return Cell(
        value=found.mean,
        interval=found.interval,
        clip_mean=found.clip_mean,
        infinite=found.infinite,
        frames=found.frames,
        paired=summary.paired.get(key),
        paper=paper,
    )


def _repeats(row: Row, earlier: Row) -> bool:
    """Whether a later run's row says again what an earlier one said (identity stands in every run)."""
    same = row.run != earlier.run and row.label == earlier.label and row.summary.state == earlier.summary.state
    return same and row.marks == earlier.marks and row.ok and row.summary.metrics == earlier.summary.metrics


def _with_run_name(row: Row, runs: Sequence[Run]) -> Row:
    return replace(row, label=f"{row.label} [{runs[row.run].folder.resolve().name}]")


def _mark(columns: Sequence[Column], rows: list[Row], same_device: bool) -> list[Row]:
    """Mark best and second of every column, as printed; equal printed values share a mark.

    Only finite means count. Rows of unlike runs and random weights take no mark, nor does the time of the blurry input,
    which restores nothing, nor that of a command, which holds more than restoring. Times on different devices or
    precisions are not ranked at all.
    """
    for column in columns:
        if column.key == SECONDS and not same_device:
            continue
        shown = {}
        for position, row in enumerate(rows):
            value = row.value(column.key)
            idle = column.key == SECONDS and (row.method.name == IDENTITY or STARTUP in row.marks)
            if value is None or math.isinf(value) or idle or {MIXED, RANDOM} & set(row.marks):
                continue
            shown[position] = float(column.show(value))
        ranked = sorted(set(shown.values()), reverse=column.higher_is_better)
        if len(shown) < 2:
            continue
        marks: dict[float, Mark] = {ranked[0]: "best"}
        if len(ranked) > 1:
            marks[ranked[1]] = "second"
        for position, value in shown.items():
            cells = rows[position].cells
            cells[column.key] = replace(cells[column.key], mark=marks.get(value, ""))
    return rows


def comparable_papers(manifest: Manifest, method: MethodRecord) -> dict[str, Published]:
    """Published numbers of this variant under this run's protocol, by metric; all of one source, the card's first."""
    fitting = [p for p in _published(method) if p.protocol == manifest.protocol.name]
    return {p.metric: p for p in reversed(fitting) if p.source == fitting[0].source}


def _published(method: MethodRecord) -> list[Published]:
    try:
        card = plugin("methods", method.name).card
    except (UsageError, CardError):  # the plugin may be gone or broken since; the stored numbers stay readable
        return []
    papers = card.paper if isinstance(card, MethodCard) else ()
    return [p for p in papers if p.variant in ("", method.variant)]


def paper_note(row: Row, manifest: Manifest) -> str:
    """Whose published numbers stand beside the measured ones, or why none do; empty where there are none."""
    shown = [cell.paper for cell in row.cells.values() if cell.paper]
    if shown:
        there = {paper.metric for paper in shown}
        others = [p for p in comparable_papers(manifest, row.method).values() if p.metric not in {*there, "fps"}]
        missing = ", ".join(f"{p.metric} {p.value:g}" for p in others)
        lacks = f"; it also reports {missing}, which this run does not have" if missing else ""
        return f"paper values: {shown[0].source}{lacks}"
    for paper in [p for p in _published(row.method) if p.metric.startswith("psnr")]:
        if paper.protocol != manifest.protocol.name:
            why = f"this run is {manifest.protocol.name}"
        elif manifest.partial:
            why = f"this run is partial ({manifest.coverage})"
        else:
            why = f"this run has no {paper.metric}"
        return f"paper reports {paper.value:.2f} dB under {paper.protocol}; {why}"
    return ""


def _paper_notes(runs: Sequence[Run], rows: Sequence[Row]) -> list[str]:
    notes = {row.label: paper_note(row, runs[row.run].manifest) for row in rows}
    return [f"{label}: {note}" for label, note in notes.items() if note]


def _caption(runs: Sequence[Run], columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    lines = []
    for run in runs:
        m = run.manifest
        lines.append(
            f"{m.dataset_title}, protocol {m.protocol.name} v{m.protocol.version} ({m.protocol_digest[:12]}), "
            f"{m.split} split: {'PARTIAL RUN, ' if m.partial else ''}{m.coverage}{_less(m)}."
        )
        tile = f", tiles of {m.tile} px" if m.tile else ""
        versions = ", ".join(f"{name} {version}" for name, version in _versions(m).items())
        lines.append(f"Device {m.device}, precision {m.precision}{tile}. {versions}.")
        lines += [_own_python(method) for method in m.methods if method.environment and not method.includes_startup]
    lines = list(dict.fromkeys(lines))
    if any(column.key != SECONDS for column in columns):
        lines.append(f"{_means_line(columns, rows)} {_interval_line(runs, rows)}")
    metrics = [m for run in runs for m in run.manifest.metrics]
    lines += list(dict.fromkeys(f"{m.id}: {m.implementation}." for m in metrics if m.implementation and not m.absent))
    lines += list(dict.fromkeys(_absent_line(m) for m in metrics if m.absent))
    return lines


def _means_line(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """What the values are means of, and what intervals and differences are of, which may be another mean."""
    by_frame = [c for c in columns if c.key != SECONDS and c.level == "frame"]
    by_clip = ", ".join(c.label for c in columns if c.key != SECONDS and c.level == "clip")
    if not by_frame:
        return "Values are means over clips."
    other = ", ".join(c.label for c in by_frame if any(_means_differ(row.cells.get(c.key), c) for row in rows))
    told = f" ({by_clip}: over clips)" if by_clip else ""
    differ = f", which print other numbers here ({other})" if other else ""
    return f"Values are means over frames{told}; intervals and differences are of means over clips{differ}."


def _means_differ(cell: Cell | None, column: Column) -> bool:
    """Whether the mean over frames and that of the clip means differ as printed."""
    if cell is None or cell.value is None or cell.clip_mean is None:
        return False
    return column.show(cell.value) != column.show(cell.clip_mean)


def _less(manifest: Manifest) -> str:
    """How much less than its coverage a run has scored, where every method failed on some clips; else nothing."""
    unscored = manifest.unscored()
    if not unscored:
        return ""
    frames = sum(len(clip.scored) for clip in manifest.clips if clip.name not in unscored)
    left = f"{len(manifest.clips) - len(unscored)} of {counted(len(manifest.clips), 'clip')}"
    return f"; really scored: {left}, {counted(frames, 'frame')} (every method failed on {some(unscored)})"


def _own_python(method: MethodRecord) -> str:
    told = method.environment
    device = f" on {told['device']}" if "device" in told else ""
    return (
        f"{method.id} ran under a Python of its own (Python {told.get('python')}, torch {told.get('torch')}){device}: "
        "timed there, without the copies between the processes."
    )


def _versions(manifest: Manifest) -> dict[str, str]:
    packages = manifest.environment.get("packages", {})
    torch = {"torch": str(packages["torch"])} if "torch" in packages else {}
    python = {"Python": str(manifest.environment["python"])} if "python" in manifest.environment else {}
    return {"deblurbench": manifest.deblurbench, **torch, **python}


def _interval_line(runs: Sequence[Run], rows: Sequence[Row]) -> str:
    found = [row.summary.metrics[key] for row in rows for key, cell in row.cells.items() if cell.interval]
    if found:
        clips = {sum(map(math.isfinite, summary.by_clip.values())) for summary in found}
        counts = " or ".join(map(str, sorted(clips)))
        return f"Intervals: 95 %, Student's t over the means of {counts} clips (the clip is the unit, not the frame)."
    if not any(row.ok for row in rows):
        return "No interval: no method was scored on every clip, and a row without all of them has no mean."
    count = len(runs[0].manifest.clips)
    there = [sum(map(math.isfinite, one.by_clip.values())) for row in rows for one in row.summary.metrics.values()]
    finite = max(there, default=count)
    found_in = counted(count, "clip") if finite == count else f"{finite} of {counted(count, 'clip')} with a finite mean"
    return (
        f"No interval: {found_in}, and an interval needs at least {MIN_CLIPS} "
        "(frames of one clip resemble each other too much to count as independent)."
    )


def _absent_line(metric: MetricRecord) -> str:
    return f"{metric.id} is absent: {metric.absent}"


def _notes(rows: Sequence[Row], mixed: Sequence[str]) -> dict[str, str]:
    used = {mark for row in rows for mark in row.marks}
    texts = {
        MIXED: "not comparable with the rows without this mark: " + "; ".join(dict.fromkeys(filter(None, mixed))),
        RANDOM: "random weights, scored because it was asked for: these numbers say nothing about the method",
        SEEN: "trained on frames of this dataset",
        LEAK: "frames or clips identical to the ground truth are left out of the means: suspected leak",
        STARTUP: "a command: its time includes starting it and the disk, and does not compare with the others'",
        TILED: "ran out of memory and was restored in tiles, which differs from whole frames at seams",
    }
    return {mark: text for mark, text in texts.items() if mark in used}


def _warnings(runs: Sequence[Run], rows: Sequence[Row]) -> list[str]:
    lines = []
    for run in runs:
        m = run.manifest
        where = f"{run.folder.resolve().name}: " if len(runs) > 1 else ""
        if m.invalidated:
            lines.append(f"{where}this run was declared INVALID: {m.invalidated}")
        if m.partial:
            lines.append(f"{where}partial run: {m.coverage}")
        lines += [f"{where}{warning}" for warning in m.warnings]
        lines += [f"{where}{hint}" for hint in _way_out(m)]
    computed: dict[str, set[str]] = {}
    for metric in [m for run in runs for m in run.manifest.metrics if m.implementation and not m.absent]:
        computed.setdefault(metric.id, set()).add(metric.implementation or "")
    lines += [
        f"{name} was computed differently in these runs: see below" for name, how in computed.items() if len(how) > 1
    ]
    if len({(run.manifest.device, run.manifest.precision) for run in runs}) > 1:
        lines.append("the runs used different devices or precisions: compare qualities, not times")
    lines += _unequal_frames(_columns(runs), rows)
    for row in rows:
        lines += _row_warnings(row, runs[row.run].manifest)
    return list(dict.fromkeys(lines))


def _way_out(manifest: Manifest) -> list[str]:
    """What to do where every method failed on some clips, so that no row has a mean; nothing where none or all did."""
    unscored = manifest.unscored()
    rest = [clip.name for clip in manifest.clips if clip.name not in unscored]
    if not unscored or not rest:
        return []
    return [f"no row has a mean, since every method failed on {some(unscored)}. {without(rest)}"]


def _unequal_frames(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """Where infinite values are left out, means are over unlike frames; paired differences are not."""
    counts: dict[str, dict[int, list[str]]] = {}
    for row in [row for row in rows if row.ok]:
        for key, cell in row.cells.items():
            if key != SECONDS and cell.frames:
                counts.setdefault(key, {}).setdefault(cell.frames, []).append(row.label)
    level = {column.key: column.level for column in columns}
    return [
        f"{key}: means over unlike {level[key]}s, "
        + "; ".join(f"{frames} of {', '.join(labels)}" for frames, labels in sorted(found.items()))
        + f". Compare by the paired differences, which take the {level[key]}s that both have"
        for key, found in counts.items()
        if len(found) > 1
    ]


def _state(row: Row) -> str:
    """'failed on 1 of 8 clips: ...' or 'unfinished: 3 of 8 clips done'."""
    return row.summary.reason if row.summary.state == "failed" else f"unfinished: {row.summary.reason}"


def _row_warnings(row: Row, manifest: Manifest) -> list[str]:
    lines = [] if row.ok else [f"{row.label}: {_state(row)}"]
    if row.method.random_weights:
        lines.append(f"{row.label}: random weights, untrained; its numbers say nothing about the method")
    if row.method.caveat:
        lines.append(f"{row.label}: {row.method.caveat}")
    lines += _leak_warnings(row, manifest)
    seen = manifest.seen_in_training(row.method)
    if seen:
        lines.append(f"{row.label}: trained on {', '.join(seen)}, which may include the frames scored here")
    if manifest.tile:
        lines.append(f"{row.label}: restored in tiles of {manifest.tile} px, which differs from whole frames at seams")
    tiles = _tiled_again(manifest, row.method)
    if tiles:
        many = f"{len(tiles)} of {len(manifest.clips)} clips"
        lines.append(f"{row.label}: {many} ran out of memory and were restored in tiles of {tiles[0]} px")
    clipped = max((o.clipped for o in manifest.outcomes if o.method == row.method.id), default=0.0)
    if clipped > CLIPPED_WORTH_TELLING:
        lines.append(
            f"{row.label}: up to {clipped:.1%} of a clip's values lay outside [0, 1] and were clipped"
            + _likely_range(clipped)
        )
    return lines


def _leak_warnings(row: Row, manifest: Manifest) -> list[str]:
    """How many frames, and by metrics with one value a clip how many clips, were identical to the ground truth."""
    why = "the data hold sharp frames as blurry ones" if row.method.name == IDENTITY else "suspected leak"
    most: dict[str, int] = {}
    for metric in [m for m in manifest.metrics if m.id in row.summary.metrics]:
        most[metric.level] = max(most.get(metric.level, 0), row.summary.metrics[metric.id].infinite)
    return [
        f"{row.label}: {counted(most[level], level)} identical to the ground truth, left out of the means: {why}"
        for level in ("frame", "clip")
        if most.get(level)
    ]


def _likely_range(clipped: float) -> str:
    """Which other range so many clipped values hint at: of [0, 255] nearly all are, of [-1, 1] the dark half."""
    if clipped > 0.5:
        return ": does it return [0, 255], or [-1, 1]?"
    return ": does it return [-1, 1]?" if clipped > 0.2 else ""
