"""Making the 960x540 frames of IFI-RNN's protocol from the 240 fps frames of GOPRO_Large_all.

Each high-speed frame is resized to 960x540 (OpenCV's INTER_AREA: the mean of the pixels that a new one covers), then n
of them are averaged with gamma 2.2; the sharp frame is the resized middle one. n is the second number of the clip's
name. Frame k of a clip averages the high-speed frames (k-1)*n+1 to k*n. Some released clips are shifted against this
rule (GOPR0384_11_05), so where GOPRO_Large's sharp frames exist, the shift is found by looking for the first of
them; else the rule is taken, and the recipe says so.

Source: Nah et al., CVPR 2019, section 4.1 (size, gamma). The filter is not given there; ours is named in recipe.json.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from deblurbench.datasets.layouts import expected_clips, files_of, places, subfolders
from deblurbench.datasets.numbering import frame_number, numbering_gaps
from deblurbench.datasets.synthesis.exposure import GAMMA, Exposure
from deblurbench.errors import FrameError, MissingError, UsageError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.files import write_atomically
from deblurbench.frames.images import read_frame, write_png
from deblurbench.provenance import file_sha256
from deblurbench.registry.cards import ExpectedClip
from deblurbench.registry.protocol import Protocol
from deblurbench.text import some

from .dataset import RECIPE_FILE, SYNTHESISED

if TYPE_CHECKING:
    from .dataset import GoPro

SIDES = ("blur_gamma", "sharp")
SPLITS = ("test", "train")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Window:
    """One frame to be made: its stem, and the high-speed frames that are averaged for it."""

    stem: str
    files: tuple[Path, ...]

    @property
    def middle(self) -> int:
        """Position of the sharp frame among `files`."""
        return len(self.files) // 2


@dataclass(frozen=True)
class Job:
    """One clip to be made, and how its windows were found."""

    split: str
    name: str
    windows: tuple[Window, ...]
    alignment: str

    @property
    def key(self) -> str:
        """`<split>/<clip>`, its folder below the output."""
        return f"{self.split}/{self.name}"

    def plan(self) -> dict[str, Any]:
        """What decides the clip's pixels, for recipe.json."""
        first = self.windows[0]
        return {
            "averaged": len(first.files), "alignment": self.alignment, "frames": len(self.windows),
            "first": {"stem": first.stem, "from": first.files[0].name},
        }  # fmt: skip


@dataclass
class Recipe:
    """recipe.json: how the frames were made, and the sha256 of each."""

    path: Path
    size: tuple[int, int]
    clips: dict[str, dict[str, Any]] = field(default_factory=dict)

    def steps(self) -> dict[str, Any]:
        """What is done to the high-speed frames."""
        return {
            "version": 1, "size": list(self.size), "resize": "OpenCV INTER_AREA, before averaging, rounded to 8 bits",
            "average": f"(mean x^{GAMMA})^(1/{GAMMA}) of consecutive disjoint windows, rounded to 8 bits",
            "sharp": "the resized middle frame of the window", "opencv": cv2.__version__,
        }  # fmt: skip

    @classmethod
    def open(cls, folder: Path, size: tuple[int, int]) -> Recipe:
        """Read the folder's recipe, or begin one.

        Raises:
            UsageError: the folder was made by another recipe.
        """
        recipe = cls(folder / RECIPE_FILE, size)
        if not recipe.path.is_file():
            return recipe
        try:
            known = json.loads(recipe.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return recipe  # damaged: every frame is made again and compared with nothing
        was, now = (
            {k: v for k, v in steps.items() if k != "opencv"} for steps in (known.get("recipe", {}), recipe.steps())
        )
        if was != now:
            raise UsageError(
                f"{recipe.path}: made by another recipe ({was}), now {now}. Remove the folder or name another."
            )
        recipe.clips = known.get("clips", {})
        return recipe

    def digests(self, job: Job) -> dict[str, dict[str, str]]:
        """The clip's digests by stem; emptied where the clip was made from other windows."""
        known = self.clips.get(job.key)
        if known is None or known["plan"] != job.plan():
            known = self.clips[job.key] = {"plan": job.plan(), "sha256": {}, "restarted": known is not None}
        digests: dict[str, dict[str, str]] = known["sha256"]
        return digests

    def may_reuse(self, job: Job) -> bool:
        """Whether files that lie there without a digest were made by the same plan."""
        return not self.clips[job.key].get("restarted")

    def write(self) -> None:
        """Write the file atomically."""
        body = {"recipe": self.steps(), "clips": dict(sorted(self.clips.items()))}
        write_atomically(self.path, (json.dumps(body, indent=1) + "\n").encode())


def synthesise(dataset: GoPro, protocol: Protocol, output: Path | None, progress: Progress | None) -> Path:
    """Make every clip of GOPRO_Large_all that is there, frame by frame; interrupted, it goes on where it stopped.

    Frames appear whole or not at all; existing ones are read, compared with the recipe's sha256, and kept.
    `progress(done, total)` is called after each frame. Returns the folder: `output`, or `<root>/GOPRO_nah2019`.

    Raises:
        MissingError: no high-speed frames.
        FrameError: one of them is damaged or missing.
        UsageError: the folder was made by another recipe.
    """
    assert protocol.size is not None
    source = _source(dataset)
    folder = output or _default_output(dataset)
    recipe = Recipe.open(folder, protocol.size)
    jobs = [job for split in SPLITS for job in _jobs(dataset, protocol, source, split)]
    total, done = sum(len(job.windows) for job in jobs), 0
    for job in jobs:
        digests = recipe.digests(job)
        recipe.write()
        _remove_others(folder / job.key, {window.stem for window in job.windows})
        for window in job.windows:
            known = digests.get(window.stem)
            digests[window.stem] = _make(folder / job.key, window, protocol.size, known, recipe.may_reuse(job))
            done += 1
            if progress:
                progress(done, total)
        recipe.clips[job.key].pop("restarted", None)
        recipe.write()
    return folder


def _remove_others(folder: Path, stems: set[str]) -> None:
    """Remove frames of an earlier plan, which would be taken for the clip's."""
    for side in SIDES:
        for file in folder.glob(f"{side}/*.png"):
            if file.stem not in stems:
                file.unlink()


def notes_of(folder: Path) -> list[str]:
    """What a user of the made frames should know: clips whose windows were taken by the rule alone."""
    try:
        clips = json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))["clips"]
    except (OSError, ValueError, KeyError):
        return [f"no readable {RECIPE_FILE}: how these frames were made is not known"]
    by_rule = [key for key, clip in clips.items() if not str(clip["plan"]["alignment"]).startswith("content")]
    return [f"windows taken by rule, not found by content: {some(by_rule)}"] if by_rule else []


def _make(
    folder: Path, window: Window, size: tuple[int, int], known: dict[str, str] | None, reuse: bool
) -> dict[str, str]:
    """Make one pair, unless it is there; the sha256 of both files."""
    files = {side: folder / side / f"{window.stem}.png" for side in SIDES}
    if (known or reuse) and all(file.is_file() for file in files.values()):
        digests = {side: file_sha256(file) for side, file in files.items()}
        if known is None or known == digests:
            return digests
    blurry, sharp = _expose(window, size)
    write_png(files["blur_gamma"], blurry)
    write_png(files["sharp"], sharp)
    return {side: file_sha256(file) for side, file in files.items()}


def _expose(window: Window, size: tuple[int, int]) -> tuple[Frame8, Frame8]:
    exposure = Exposure("gamma")
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        small = list(pool.map(lambda file: _reduced(file, size), window.files))
    for frame in small:
        exposure.add(frame)
    return exposure.result(), small[window.middle]


def _reduced(file: Path, size: tuple[int, int]) -> Frame8:
    return np.asarray(cv2.resize(read_frame(file), size, interpolation=cv2.INTER_AREA), np.uint8)


def _source(dataset: GoPro) -> Path:
    root = dataset.root
    near = [*places(root, "GOPRO_Large_all"), *(places(root.parent, "GOPRO_Large_all")[1:] if root else [])]
    for place in near:
        if any(_fine_clips(place / split) for split in SPLITS):
            return place
    raise MissingError(
        f"dataset 'gopro': no 240 fps frames (GOPRO_Large_all/{{train,test}}/<clip>/000001.png) found in {root}; "
        f"gopro:nah2019 and gopro:estrnn are made from them.\n{dataset.how_to_get()}"
    )


def _fine_clips(folder: Path) -> list[Path]:
    return [f for f in subfolders(folder) if _averaged(f.name) and files_of(f)[0]]


def _default_output(dataset: GoPro) -> Path:
    assert dataset.root is not None
    return dataset.root if (dataset.root / RECIPE_FILE).is_file() else dataset.root / SYNTHESISED


def _jobs(dataset: GoPro, protocol: Protocol, source: Path, split: str) -> list[Job]:
    released = expected_clips(dataset.card.splits.get(split, ()))
    sharp = dataset.sharp_files(split)
    jobs = []
    for folder in _fine_clips(source / split):
        windows, alignment = _windows(folder, released.get(folder.name), sharp.get(folder.name, ()))
        if windows:
            jobs.append(Job(split, folder.name, windows, alignment))
    return jobs


def _windows(folder: Path, expected: ExpectedClip | None, sharp: tuple[Path, ...]) -> tuple[tuple[Window, ...], str]:
    """The windows of a clip, and how they were found."""
    averaged = _averaged(folder.name)
    fine, problems = files_of(folder)
    problems += numbering_gaps([f.stem for f in fine], step=1)
    if problems or averaged is None:
        raise FrameError(f"{folder}: {'; '.join(problems)}", "missing")
    rule = (1 - averaged) - (frame_number(fine[0].stem) or 1)  # start(k) = rule + k * averaged, as a position in `fine`
    start, alignment = _aligned(fine, averaged, rule, sharp)
    first, last = -(start // averaged), (len(fine) - averaged - start) // averaged
    chosen = _released(list(range(first, last + 1)), expected, sharp)
    stems = {frame_number(f.stem): f.stem for f in sharp}
    return tuple(
        Window(stems.get(k, f"{k:06d}"), fine[start + k * averaged : start + (k + 1) * averaged]) for k in chosen
    ), alignment


def _aligned(fine: tuple[Path, ...], averaged: int, rule: int, sharp: tuple[Path, ...]) -> tuple[int, str]:
    number = frame_number(sharp[0].stem) if sharp else None
    if number is None:
        return (
            rule,
            "rule: frame k averages the high-speed frames (k-1)*n+1 to k*n; no released sharp frames to look for",
        )
    expected = rule + number * averaged + averaged // 2
    position = _position_of(read_frame(sharp[0]), fine, expected)
    if position is None:
        return rule, "rule: the released sharp frame was not found among the high-speed frames"
    shift = position - expected
    return rule + shift, f"content: shift {shift:+d} high-speed frames against the rule"


def _position_of(frame: Frame8, fine: tuple[Path, ...], expected: int) -> int | None:
    """Where a frame lies among the high-speed ones, pixel for pixel, looking near `expected` first."""
    for position in sorted(range(len(fine)), key=lambda p: abs(p - expected)):
        other = read_frame(fine[position])
        if other.shape == frame.shape and (other == frame).all():
            return position
    return None


def _released(numbers: list[int], expected: ExpectedClip | None, sharp: tuple[Path, ...]) -> list[int]:
    """The frames that were released, of those that the high-speed frames could make."""
    if expected is None:
        return numbers
    first = expected.first or (sharp[0].stem if len(sharp) == expected.frames else None)
    begin = frame_number(first) if first else None
    if begin is not None and begin in numbers:
        numbers = [k for k in numbers if k >= begin]
    return numbers[: expected.frames]


def _averaged(name: str) -> int | None:
    match = re.fullmatch(r"GOPR\d+_(\d+)_\d+", name)
    return int(match.group(1)) if match else None
