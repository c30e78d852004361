"""Captions, notes and warnings of a comparison table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from deblurbench.analysis.max_t import CLIPS_NEEDED, smallest_p
from deblurbench.analysis.pairs import Pairs, shortage
from deblurbench.analysis.statistics import MIN_CLIPS
from deblurbench.datasets.selection import without
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.manifest import Manifest, MethodRecord, MetricRecord
from deblurbench.results.run import Run
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
    Row,
    _columns,
)
from deblurbench.text import counted, some

CLIPPED_WORTH_TELLING = 0.05  # highlights clip a little in any good restoration


def _tiled_again(manifest: Manifest, method: MethodRecord) -> list[int]:
    """Sides of the tiles of those clips that ran out of memory as a whole."""
    return [o.tile for o in manifest.outcomes if o.method == method.id and o.tile and o.status == "ok"]


def _caption(
    runs: Sequence[Run], columns: Sequence[Column], rows: Sequence[Row], tests: Mapping[str, Pairs]
) -> list[str]:
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
        lines += [f"{_edited(run)}."] if run.edited else []
    lines = list(dict.fromkeys(lines))
    if any(column.key != SECONDS for column in columns):
        lines.append(f"{_means_line(columns, rows)} {_interval_line(runs, rows)}")
        lines += _test_lines(tests, rows)
    metrics = [m for run in runs for m in run.manifest.metrics]
    lines += list(dict.fromkeys(f"{m.id}: {m.implementation}." for m in metrics if m.implementation and not m.absent))
    lines += list(dict.fromkeys(_absent_line(m) for m in metrics if m.absent))
    return lines


def _edited(run: Run) -> str:
    return f"EDITED after the run: {', '.join(run.edited)}; the numbers are not known to be those that were computed"


def _means_line(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """What the values are means of, and what intervals and differences are of, which may be another mean."""
    by_frame = [c for c in columns if c.key != SECONDS and c.level == "frame"]
    by_clip = ", ".join(c.label for c in columns if c.key != SECONDS and c.level == "clip")
    if not by_frame:
        return "Values are means over clips."
    other = ", ".join(c.label for c in by_frame if any(_means_differ(row.cells.get(c.key), c) for row in rows))
    per_clip = f" ({by_clip}: over clips)" if by_clip else ""
    differ = f", which print other numbers here ({other})" if other else ""
    return f"Values are means over frames{per_clip}; intervals and differences are of means over clips{differ}."


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
    facts = method.environment
    device = f" on {facts['device']}" if "device" in facts else ""
    return (
        f"{method.id} ran in a separate Python environment (Python {facts.get('python')}, torch {facts.get('torch')})"
        f"{device}: timed there, without the copies between the processes."
    )


def _versions(manifest: Manifest) -> dict[str, str]:
    packages = manifest.environment.get("packages", {})
    torch = {"torch": str(packages["torch"])} if "torch" in packages else {}
    python = {"Python": str(manifest.environment["python"])} if "python" in manifest.environment else {}
    return {"deblurbench": manifest.deblurbench, **torch, **python}


def _interval_line(runs: Sequence[Run], rows: Sequence[Row]) -> str:
    summaries = [row.summary.metrics[key] for row in rows for key, cell in row.cells.items() if cell.interval]
    if summaries:
        clips = {sum(map(math.isfinite, summary.by_clip.values())) for summary in summaries}
        counts = " or ".join(map(str, sorted(clips)))
        unit = "the clip is the unit, not the frame"
        return f"Intervals of values: 95 % each, Student's t over the means of {counts} clips ({unit})."
    if not any(row.ok for row in rows):
        return "No interval: no method was scored on every clip, and a row without all of them has no mean."
    count = len(runs[0].manifest.clips)
    finite_counts = [
        sum(map(math.isfinite, one.by_clip.values())) for row in rows for one in row.summary.metrics.values()
    ]
    finite = max(finite_counts, default=count)
    found_in = counted(count, "clip") if finite == count else f"{finite} of {counted(count, 'clip')} with a finite mean"
    return (
        f"No interval: {found_in}, and an interval needs at least {MIN_CLIPS} "
        "(frames of one clip resemble each other too much to count as independent)."
    )


def _test_lines(tests: Mapping[str, Pairs], rows: Sequence[Row]) -> list[str]:
    """How differences are tested and what "tied" means; where there are too few clips, what number would do."""
    tested = [pairs for pairs in tests.values() if len(pairs.labels) > 1 and pairs.clips]
    if not tested:
        return []
    clips = min(len(pairs.clips) for pairs in tested)
    if clips < CLIPS_NEEDED:
        return [f"Differences are not tested: {shortage(clips)} (the smallest p is {smallest_p(clips):.2g})."]
    verdicts = {cell.paired.verdict for row in rows for cell in row.cells.values() if cell.paired}
    tied = ' "tied": the test sees no difference.' if "tied" in verdicts else ""
    return [
        f"Differences: all pairs of methods are tested together over {clips} clips (max-T over joint sign flips), at "
        f"5 % for all pairs; the intervals of differences hold together, too.{tied}"
    ]


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
        if run.edited:
            lines.append(f"{where}{_edited(run)}")
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
        + "; ".join(f"{frames} of {', '.join(labels)}" for frames, labels in sorted(by_count.items()))
        + f". Compare by the paired differences, which take the {level[key]}s that both have"
        for key, by_count in counts.items()
        if len(by_count) > 1
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
