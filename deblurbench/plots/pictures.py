"""The pictures of a comparison strip, read from the frames that a run kept."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

from deblurbench.errors import UsageError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.images import read_frame
from deblurbench.plots.crops import Crop, check_crop, default_crop
from deblurbench.plots.selection import Selection, find_clip, outcome_of
from deblurbench.plots.strip import SEPARATOR, Shot
from deblurbench.plots.style import INPUT, TRUTH
from deblurbench.results.manifest import ClipRecord
from deblurbench.results.run import Run
from deblurbench.tables import Column, Row
from deblurbench.text import counted

KEEP = (
    "To keep every frame, run with --save-frames all (in another --output folder, or with --fresh); "
    "at 1280x720 a frame takes about 1.5 MB of disk for each method"
)
RULE = "the window of a quarter of the frame's width and height where {} and {} differ most"
NEAR = 6


@dataclass(frozen=True)
class Moment:
    """A frame of a clip by every method: the shots in order, the frame shown whole, and the crop."""

    clip: str
    frame: str
    shots: list[Shot]
    whole: Frame8
    crop: Crop
    caption: str


def moment(selection: Selection, clip: str | None, frame: str | None, crop: Crop | None) -> Moment:
    """Collect what the strip shows; what was chosen or left out stands in the selection's notes.

    Raises:
        UsageError: unknown clip or frame, frames not kept, a method that failed there, a crop beyond the frame.
        FrameError: a kept PNG is damaged.
    """
    record = find_clip(selection.run, clip)
    sources = _sources(selection, record)
    stem = _find_frame(selection, record, sources, frame)
    images = _read(selection, record, sources, stem)
    if TRUTH not in images:
        selection.notes.append(
            "the run kept no ground truth of this frame: none is shown, the whole frame is the first"
        )
    whole = images.get(TRUTH, next(iter(images.values())))
    window = crop or _choose_crop(selection, images)
    check_crop(window, whole)
    shots, heading = _shots(selection, record, stem, images)
    return Moment(record.name, stem, shots, whole, window, f"{record.name}, frame {stem}{heading}")


def _sources(selection: Selection, clip: ClipRecord) -> dict[str, dict[str, Path]]:
    """Label -> stem -> PNG that was kept: the input, the methods, the ground truth."""
    run = selection.run
    sources = {}
    for row in selection.rows:
        outcome = run.manifest.outcome(row.method.id, clip.name)
        if outcome.status == "ok":
            sources[selection.label(row)] = run.frames(row.method.id, clip.name)
        else:
            selection.leave_out(row, f"{clip.name}: {outcome_of(run, row, clip.name)}")
    sources[TRUTH] = run.ground_truth_frames(clip.name)
    return {label: frames for label, frames in sources.items() if frames}


def _find_frame(selection: Selection, clip: ClipRecord, sources: dict[str, dict[str, Path]], name: str | None) -> str:
    """The frame asked for, or the middle one of those kept (scored ones first)."""
    saved = [stem for stem in clip.frames if any(stem in frames for frames in sources.values())]
    if name is not None:
        stem = _stem(clip, name)
        if stem not in saved:
            raise UsageError(f"--frame {stem}: was not kept. {_kept(clip, saved)}. {KEEP}.")
        return stem
    if not saved:
        raise UsageError(f"{selection.run.folder}: {_kept(clip, saved)}. {KEEP}.")
    order = [stem for stem in saved if stem in clip.scored] or saved
    stem = order[len(order) // 2]
    selection.notes.append(f"frame chosen: --frame {stem} (the middle one of those kept)")
    return stem


def _stem(clip: ClipRecord, name: str) -> str:
    """A frame by its stem, or by its number without the zeros in front."""
    if name in clip.frames:
        return name
    same = [stem for stem in clip.frames if stem.isdecimal() and name.isdecimal() and int(stem) == int(name)]
    if len(same) == 1:
        return same[0]
    near = difflib.get_close_matches(name, clip.frames, n=1, cutoff=0.3)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"--frame: no {name!r} in {clip.name}.{hint} It has {counted(len(clip.frames), 'frame')}, {clip.frames[0]} to "
        f"{clip.frames[-1]}."
    )


def _kept(clip: ClipRecord, saved: list[str]) -> str:
    if not saved:
        return f"No frame of {clip.name} was kept"
    more = f" and {len(saved) - NEAR} more" if len(saved) > NEAR else ""
    return f"Kept of {clip.name}: {', '.join(saved[:NEAR])}{more}"


def _read(selection: Selection, clip: ClipRecord, sources: dict[str, dict[str, Path]], stem: str) -> dict[str, Frame8]:
    """Label -> image, in the order of the strip; all of one size."""
    images: dict[str, Frame8] = {}
    rows = {selection.label(row): row for row in selection.rows}
    for label in [*[label for label in rows if label in sources], TRUTH]:
        file = sources.get(label, {}).get(stem)
        if file:
            images[label] = read_frame(file)
        elif label in rows:
            selection.leave_out(rows[label], f"frame {stem} of {clip.name} was not kept")
    shapes = {image.shape[1::-1] for image in images.values()}
    if len(shapes) > 1:
        sizes = ", ".join(f"{label} {image.shape[1]}x{image.shape[0]}" for label, image in images.items())
        raise UsageError(f"{clip.name}, frame {stem}: pictures of unlike size cannot share a crop: {sizes}")
    return images


def _choose_crop(selection: Selection, images: dict[str, Frame8]) -> Crop:
    """Where input and ground truth differ most; without one of them, the first and the last picture."""
    labels = list(images)
    one, two = INPUT if INPUT in images else labels[0], labels[-1]
    crop = default_crop(images[one], images[two])
    selection.notes.append(f"crop chosen: --crop {crop} ({RULE.format(one, two)})")
    return crop


def _shots(selection: Selection, clip: ClipRecord, stem: str, images: dict[str, Frame8]) -> tuple[list[Shot], str]:
    """The pictures with their values, and the caption's addition where no ground truth carries the values' names."""
    columns = _columns(selection)
    rows = {selection.label(row): row for row in selection.rows}
    values = {label: _values(selection.run, rows[label], clip, stem, columns) for label in images if label in rows}
    values = {label: scores for label, scores in values.items() if scores}
    if columns and not values:
        selection.notes.append(f"frame {stem} is not scored under this protocol: no values are shown")
    heads = tuple(f"{c.label} ({c.unit})" if c.unit else c.label for c in columns) if values else ()
    shots = [Shot(label, image, _printed(columns, values.get(label, []))) for label, image in images.items()]
    shots = [replace(shot, best=_best(columns, values, shot)) for shot in shots]
    if TRUTH in images:
        return [replace(s, values=heads) if s.label == TRUTH else s for s in shots], ""
    return shots, f": {SEPARATOR.join(heads)}" if heads else ""


def _columns(selection: Selection) -> list[Column]:
    """The metric asked for, and SSIM beside it."""
    per_frame = {m.id for m in selection.run.manifest.metrics if m.level == "frame"}
    known = {column.key: column for column in selection.table.metrics if column.key in per_frame}
    first = selection.column.key if known else ""
    return [known[key] for key in dict.fromkeys((first, "ssim")) if key in known]


def _values(run: Run, row: Row, clip: ClipRecord, stem: str, columns: list[Column]) -> list[float]:
    by_metric = [run.values_by_clip(row.method.id, column.key).get(clip.name) for column in columns]
    values = [float(series[stem]) for series in by_metric if series is not None and stem in series]
    return values if len(values) == len(columns) else []


def _printed(columns: list[Column], values: list[float]) -> tuple[str, ...]:
    return tuple(column.show(value) for column, value in zip(columns, values, strict=False))


def _best(columns: list[Column], values: dict[str, list[float]], shot: Shot) -> tuple[bool, ...]:
    """Which of a shot's values are the best as printed; ties share the mark. A single method takes none."""
    if len(values) < 2 or shot.label not in values:
        return (False,) * len(shot.values)
    marks = []
    for position, (column, shown) in enumerate(zip(columns, shot.values, strict=True)):
        pick = max if column.higher_is_better else min
        marks.append(shown == column.show(pick(scores[position] for scores in values.values())))
    return tuple(marks)
