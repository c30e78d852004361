"""Lossless copies of the frames that the page shows, within the budget of its size.

What is shown is decided in `shown.py`; here the frames are read moment by moment, written as WebP and measured. The
crop is the window of `CROP` x `CROP` pixels in which the methods differ most (the variance among their pixels; of one
method its difference to the input), not where the input and the ground truth do: there all methods look alike.
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
from deblurbench.frames.convert import Frame8
from deblurbench.frames.files import write_atomically
from deblurbench.frames.images import read_frame
from deblurbench.plots import crops
from deblurbench.reports.base import Options
from deblurbench.tables import ResultTable

from . import shown
from .shown import CROP, GROUND_TRUTH, ClipFrames, Picked


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
    """One frame of a clip by all methods. `crop` is (x, y, width, height), None where there is one picture only.

    `variance` is that among the methods inside the crop, in grey levels squared.

    `why` says how the frame was chosen: worst, median, best or stride, or several of them. `pack` names the script that
    holds the same pictures, from which a page on the disk reads single pixels; empty where there is none.
    """

    frame: str
    shots: tuple[Shot, ...]
    crop: tuple[int, int, int, int] | None
    why: str = ""
    pack: str = ""
    variance: float = 0.0


@dataclass(frozen=True)
class Gallery:
    """The pictures of a report: moments by clip, the rule they were chosen by, and what is missing, in words.

    `labels` are the rows that are shown (all but for a tight budget), `size` the bytes of the pictures.
    """

    moments: dict[str, tuple[Moment, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    rule: str = ""
    left_out: str = ""
    labels: tuple[str, ...] = ()
    size: int = 0
    wanted: bool = True

    @property
    def packs(self) -> list[str]:
        """Names of the scripts that hold pictures, relative to the page."""
        return [moment.pack for moments in self.moments.values() for moment in moments if moment.pack]

    @property
    def files(self) -> list[str]:
        """Names of all pictures, relative to the page."""
        shots = [shot for moments in self.moments.values() for moment in moments for shot in moment.shots]
        return [name for shot in shots for name in (shot.file, shot.crop_file) if name]


def safe_name(name: str) -> str:
    """A name as a file name: letters, digits, dot, dash; anything else replaced, with a digest to keep it unique."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip(".-")[:60]
    return plain if plain == name else f"{plain or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def collect(table: ResultTable, folder: Path, options: Options, budget: int) -> Gallery:
    """Copy pictures of a table's runs into `folder`/images as lossless WebP, one moment in memory at a time.

    They take at most `budget` bytes: the whole of `options.budget`, or what is left to pictures beside videos.
    """
    picked = shown.pick(table, options, budget)
    writer = _Writer(shown.input_label(table), folder, options, picked, budget)
    for wave in picked.waves:
        if not writer.take(wave):
            break
    return writer.gallery()


class _Writer:
    """Writes wave after wave (a wave is one frame of every clip) while the budget lasts."""

    def __init__(self, blurry: str, folder: Path, options: Options, picked: Picked, budget: int) -> None:
        self.blurry, self.folder, self.options, self.picked = blurry, folder, options, picked
        self.budget = budget
        self.clips = {clip.name: clip for clip in picked.clips}
        self.moments: dict[str, dict[str, Moment]] = {name: {} for name in self.clips}
        self.missing: list[str] = []
        self.size = self.done = 0
        self.total = sum(len(wave) for wave in picked.waves)

    def take(self, wave: Sequence[tuple[str, str]]) -> bool:
        """Write one frame of every clip; a wave that does not fit is dropped whole, so that no clip is favoured.

        Of the first wave, which was chosen to fit, what does fit is kept.
        """
        first, whole = self.size == 0, self.size
        for clip, stem in wave:
            before = self.size
            self.options.progress("pictures", self.done, self.total)
            self.done += 1
            self._add(self.clips[clip], stem)
            if self.size > self.budget:
                self.size = before if first else whole
                for name, frame in [(clip, stem)] if first else wave:
                    self.moments[name].pop(frame, None)
                return False
        return True

    def gallery(self) -> Gallery:
        """What was written, in words, too."""
        self.options.progress("pictures", self.total, self.total)
        moments = {
            name: tuple(found[stem] for stem in self.clips[name].order if stem in found)
            for name, found in self.moments.items()
            if found
        }
        frames = {name: [moment.frame for moment in found] for name, found in moments.items()}
        return Gallery(
            moments,
            tuple(self.missing),
            self.picked.rule(frames),
            self.picked.left_out(frames, self.options),
            self.picked.labels,
            self.size,
        )

    def _add(self, clip: ClipFrames, stem: str) -> None:
        sources = {label: clip.sources[label] for label in self.picked.labels if label in clip.sources}
        files = {label: frames[stem] for label, frames in sources.items() if stem in frames}
        place = Path("images") / safe_name(clip.name)
        shots = []
        try:
            images = {label: read_frame(file) for label, file in files.items()}
        except FrameError as error:
            self.missing.append(str(error))
            return
        crop, variance = self._crop(images)
        for label, image in images.items():
            shots.append(self._shot(label, image, place / f"{safe_name(stem)}-{safe_name(label)}", crop))
        why = ", ".join(clip.why.get(stem, ()))
        self.moments[clip.name][stem] = Moment(stem, tuple(shots), crop, why, variance=variance)

    def _crop(self, images: Mapping[str, Frame8]) -> tuple[tuple[int, int, int, int] | None, float]:
        """Where the methods differ most; of one method alone, where it differs from the input."""
        methods = [image for label, image in images.items() if label not in (self.blurry, GROUND_TRUTH)]
        among = methods if len(methods) > 1 else list(images.values())[:2]
        if len(among) < 2 or len({image.shape for image in among}) > 1:
            return None, 0.0
        return crops.most_varied(among, CROP, CROP)

    def _shot(self, label: str, frame: Frame8, name: Path, crop: tuple[int, int, int, int] | None) -> Shot:
        target = name.with_name(f"{name.name}.webp").as_posix()
        self.size += _write_webp(self.folder / target, frame)
        target_crop = ""
        if crop:
            x, y, width, height = crop
            target_crop = name.with_name(f"{name.name}-crop.webp").as_posix()
            self.size += _write_webp(self.folder / target_crop, frame[y : y + height, x : x + width])
        return Shot(label, target, target_crop, frame.shape[1], frame.shape[0])


def _write_webp(path: Path, frame: Frame8) -> int:
    """Write a frame losslessly; returns the bytes written."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame)).save(out, "WEBP", lossless=True, method=2, quality=50, exact=True)
    write_atomically(path, out.getvalue())
    return len(out.getvalue())


def clear(folder: Path, place: str, suffix: str, keep: Sequence[str]) -> None:
    """Delete files of an earlier report from `folder`/`place` that are not in `keep` (names relative to `folder`)."""
    wanted = {folder / name for name in keep}
    for file in sorted((folder / place).rglob(f"*{suffix}")):
        if file not in wanted:
            file.unlink()
    for inner in sorted((folder / place).rglob("*"), reverse=True):
        if inner.is_dir() and not any(inner.iterdir()):
            inner.rmdir()
