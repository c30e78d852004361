"""data.js: the numbers that the page's scripts need beside the page itself, as one plain value.

`window.deblurbenchData` holds metrics (the columns of the table, `seconds` last), methods (the rows, in order), the
labels of those that may be called best, best first by the first metric (`best`), clips
with their frames and, for every column and method, one value a frame (null where there is none, "inf" for infinity) and
one a clip; the table as Markdown, LaTeX and CSV; and where the runs lie, relative to the page.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deblurbench import tables
from deblurbench.plots.style import Look, marker_path
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.manifest import ClipRecord
from deblurbench.results.run import Run
from deblurbench.tables import Column, ResultTable
from deblurbench.tables.model import SECONDS
from deblurbench.text import pictured

from . import view
from .palette import dash, is_reference
from .verdict import ranked

ByClip = dict[str, dict[str, dict[str, float]]]  # clip -> label -> frame -> value
Number = float | str | None


def script(table: ResultTable, looks: Mapping[str, Look], folder: Path) -> bytes:
    """The text of data.js for a page in `folder`: pure ASCII, without `<`, so that it may also stand in the page."""
    body = {
        "id": _identity(table),
        "metrics": [_metric(column) for column in table.columns],
        "methods": [_method(table, label, look) for label, look in looks.items()],
        "best": [row.label for row in ranked(table, table.metrics[0])] if table.metrics else [],
        "clips": _clips(table, list(looks)),
        "tables": {
            "Markdown": tables.markdown(table),
            "LaTeX": tables.latex(table),
            "CSV": tables.csv_text(table),
        },
        "runs": [_place(run, folder) for run in table.runs],
    }
    text = json.dumps(_pictured(body), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    text = text.replace("<", "\\u003c")
    return f"window.deblurbenchData = {text};\n".encode("ascii")


def _pictured(value: Any) -> Any:
    """The same value with the control characters of its texts as the page shows them: names are compared with it."""
    if isinstance(value, str):
        return pictured(value)
    if isinstance(value, list):
        return [_pictured(each) for each in value]
    return {pictured(key): _pictured(each) for key, each in value.items()} if isinstance(value, dict) else value


def _identity(table: ResultTable) -> str:
    """Names this comparison: the same methods, weights and clips under the same protocol have the same votes."""
    methods = [(row.label, row.method.weights_sha256) for row in table.rows]
    clips = [(clip.name, clip.scored) for clip in table.clips]
    known = json.dumps([table.runs[0].manifest.protocol_digest, methods, clips])
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def _metric(column: Column) -> dict[str, object]:
    return {
        "key": column.key,
        "label": column.label,
        "unit": "s" if column.key == SECONDS else column.unit,
        "decimals": column.decimals,
        "higher": column.higher_is_better,
    }


def _method(table: ResultTable, label: str, look: Look) -> dict[str, object]:
    row = next(row for row in table.rows if row.label == label)
    return {
        "label": label,
        "colour": look.number,
        "dash": dash(look),
        "marker": marker_path(look.marker),
        "open": look.marker == "x",
        "input": row.method.name == IDENTITY,
        "reference": is_reference(table, row),
    }


def _clips(table: ResultTable, labels: Sequence[str]) -> list[dict[str, object]]:
    frames: dict[str, ByClip] = {column.key: view.frame_values(table, column) for column in table.metrics}
    means = {column.key: view.clip_values(table, column) for column in table.metrics}
    if any(column.key == SECONDS for column in table.columns):
        frames[SECONDS], means[SECONDS] = _seconds(table)
    return [
        {
            "name": clip.name,
            "frames": view.stems(clip),
            "values": {
                key: _values(clip, found[clip.name], labels, _digits(table, key)) for key, found in frames.items()
            },
            "means": {
                key: [_number(found[label][place], _digits(table, key)) if label in found else None for label in labels]
                for key, found in means.items()
            },
        }
        for place, clip in enumerate(table.clips)
    ]


def _digits(table: ResultTable, key: str) -> int:
    """Decimals kept: enough that the page prints what the table prints."""
    return 9 if key == SECONDS else next(column.decimals for column in table.columns if column.key == key) + 4


def _values(
    clip: ClipRecord, found: Mapping[str, Mapping[str, float]], labels: Sequence[str], digits: int
) -> list[list[Number] | None]:
    stems = view.stems(clip)
    return [[_number(found[la].get(stem), digits) for stem in stems] if found.get(la) else None for la in labels]


def _number(value: float | None, digits: int) -> Number:
    if value is None or math.isnan(value):
        return None
    return round(value, digits) if math.isfinite(value) else "inf"


def _seconds(table: ResultTable) -> tuple[ByClip, dict[str, list[float | None]]]:
    """Restore times by frame, and the median of each clip; warm-up frames are left out of both."""
    frames: ByClip = {clip.name: {} for clip in table.clips}
    medians = {}
    for row in table.rows:
        by_clip = table.runs[row.run].seconds(row.method.id).groupby(level="clip", sort=False)
        for clip, seconds in by_clip:
            if str(clip) in frames:
                frames[str(clip)][row.label] = seconds.droplevel("clip").to_dict()
        found = by_clip.median().to_dict()
        medians[row.label] = [found.get(clip.name) for clip in table.clips]
    return frames, medians


def _place(run: Run, folder: Path) -> dict[str, str]:
    """The run's folder relative to the page; its name alone where there is no way (another drive)."""
    name = run.folder.resolve().name
    try:
        return {"name": name, "path": Path(os.path.relpath(run.folder.resolve(), folder.resolve())).as_posix()}
    except ValueError:
        return {"name": name, "path": ""}
