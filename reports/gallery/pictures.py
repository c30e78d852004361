"""Which saved frames the page shows, and their lossless copies.

The rule, printed on the page: of every clip the scored frames at 1/6, 1/2 and 5/6 of its length; only the middle one
where three would make the report larger than `BUDGET` pixels. The crop is the window of `CROP` x `CROP` pixels in which
input and ground truth differ most in the mean square.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deblurbench.errors import FrameError
from deblurbench.figures import crops
from deblurbench.frames import Frame8
from deblurbench.imagefiles import read_frame, write_atomically
from deblurbench.manifest import ClipRecord
from deblurbench.statistics import REFERENCE
from deblurbench.tables import ResultTable

CROP = 96
BUDGET = 55_000_000
GROUND_TRUTH = "ground truth"


@dataclass(frozen=True)
class Shot:
    """One picture: file names relative to the page, and what is written under it."""

    label: str
    file: str
    crop_file: str
    width: int
    height: int


@dataclass(frozen=True)
class Moment:
    """One frame of a clip by all methods. `crop` is (x, y, width, height), None without ground truth."""

    frame: str
    shots: tuple[Shot, ...]
    crop: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Gallery:
    """The pictures of a report: moments by clip, and what is missing, in words."""

    moments: dict[str, tuple[Moment, ...]] = field(default_factory=dict)
    per_clip: int = 3
    missing: tuple[str, ...] = ()


def positions(count: int, wanted: int = 3) -> list[int]:
    """Positions at 1/6, 1/2 and 5/6 of `count` frames (the middle one for `wanted` = 1)."""
    parts = (1, 3, 5) if wanted == 3 else (3,)
    return sorted({count * part // 6 for part in parts}) if count else []


def safe_name(name: str) -> str:
    """A name as a file name: letters, digits, dot, dash; anything else replaced, with a digest to keep it unique."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip(".-")[:60]
    return plain if plain == name else f"{plain or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def collect(table: ResultTable, folder: Path) -> Gallery:
    """Copy the pictures of a table's runs into `folder`/images as lossless WebP, one frame in memory at a time."""
    found = {clip.name: _sources(table, clip) for clip in table.clips}
    wanted = 3 if _pixels(table, found, 3) <= BUDGET else 1
    moments, missing = {}, []
    for clip in table.clips:
        shown = []
        for stem in _choose(clip, found[clip.name], wanted):
            files = {label: frames[stem] for label, frames in found[clip.name].items() if stem in frames}
            try:
                shown.append(_moment(clip, stem, files, input_label(table), folder))
            except FrameError as error:
                missing.append(str(error))
        if shown:
            moments[clip.name] = tuple(shown)
    return Gallery(moments, wanted, tuple(missing))


def most_different(one: Frame8, two: Frame8, side: int = CROP) -> tuple[int, int, int, int]:
    """The window (x, y, width, height) of at most `side` pixels a side with the largest mean squared difference."""
    return crops.most_different(one, two, side, side)


def input_label(table: ResultTable) -> str:
    """The label of the row that shows the blurry input."""
    return next((row.label for row in table.rows if row.method.name == REFERENCE), REFERENCE)


def _sources(table: ResultTable, clip: ClipRecord) -> dict[str, dict[str, Path]]:
    """Label -> stem -> PNG: the reference (the input) first, then the methods, then the ground truth."""
    found = {}
    for row in table.rows:
        frames = table.runs[row.run].restored_frames(row.method.id, clip.name)
        if frames:
            found[row.label] = frames
    for run in table.runs:
        truth = run.ground_truth_frames(clip.name)
        if truth:
            found[GROUND_TRUTH] = truth
            break
    return found


def _choose(clip: ClipRecord, sources: Mapping[str, Mapping[str, Path]], wanted: int) -> list[str]:
    """The stems shown: by the rule where they were kept, else as many of those that were, evenly spread."""
    kept = {stem for frames in sources.values() for stem in frames}
    usable = [stem for stem in (clip.scored or clip.frames) if stem in kept] or [s for s in clip.frames if s in kept]
    order = clip.scored or clip.frames
    chosen = [order[p] for p in positions(len(order), wanted) if order[p] in kept]
    return chosen or [usable[p] for p in positions(len(usable), wanted)]


def _pixels(table: ResultTable, found: Mapping[str, Mapping[str, Mapping[str, Path]]], wanted: int) -> int:
    clips = {clip.name: clip for clip in table.clips}
    return sum(
        len(_choose(clips[name], sources, wanted)) * len(sources) * clips[name].width * clips[name].height
        for name, sources in found.items()
    )


def _moment(clip: ClipRecord, stem: str, files: Mapping[str, Path], blurry: str, folder: Path) -> Moment:
    crop = None
    if GROUND_TRUTH in files and blurry in files:
        one, two = read_frame(files[blurry]), read_frame(files[GROUND_TRUTH])
        crop = most_different(one, two) if one.shape == two.shape else None
    place = Path("images") / safe_name(clip.name)
    shots = []
    for label, file in files.items():
        frame = read_frame(file)
        name = f"{safe_name(stem)}-{safe_name(label)}"
        target, target_crop = place / f"{name}.webp", ""
        _write_webp(folder / target, frame)
        if crop:
            x, y, width, height = crop
            target_crop = (place / f"{name}-crop.webp").as_posix()
            _write_webp(folder / target_crop, frame[y : y + height, x : x + width])
        shots.append(Shot(label, target.as_posix(), target_crop, frame.shape[1], frame.shape[0]))
    return Moment(stem, tuple(shots), crop)


def _write_webp(path: Path, frame: Frame8) -> None:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame)).save(out, "WEBP", lossless=True, method=4, quality=75, exact=True)
    write_atomically(path, out.getvalue())


def clear(folder: Path, keep: Sequence[str]) -> None:
    """Delete pictures of an earlier report from `folder`/images that are not in `keep` (names relative to `folder`)."""
    wanted = {folder / name for name in keep}
    for file in sorted((folder / "images").rglob("*.webp")):
        if file not in wanted:
            file.unlink()
    for place in sorted((folder / "images").rglob("*"), reverse=True):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
