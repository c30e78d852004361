"""Excerpts of clips as videos, one a method, that the page plays side by side in step.

VP9 in gbrp without loss shows in browsers the very pixels of the PNGs (tests/browser/test_playback.py compares them).
Where that would not fit the budget, the excerpt is VP9 in yuv420p with loss, and the page calls it a preview. An
excerpt lies around the middle of its clip. Frames pass one by one; a single thread and no time stamps of the clock: the
same runs give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deblurbench.errors import FrameError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.files import write_atomically
from deblurbench.frames.images import read_frame
from deblurbench.registry.cards import IDENTITY
from deblurbench.reports.base import MEGABYTE
from deblurbench.results.manifest import ClipRecord
from deblurbench.tables import ResultTable

from .pictures import safe_name
from .shown import GROUND_TRUTH, input_label, sources

RATE = 25  # frames a second; a frame lasts 40 ms, which WebM's millisecond clock holds exactly
LONGEST = 100
SHORTEST = 12  # fewer frames than this without loss are no playback: then a longer preview
KEY_FRAMES = 12  # a seek decodes at most as many frames
PROBE = 4  # frames of a few videos that tell what lossless VP9 takes of a PNG: 0.55 of drawn scenes, 0.9 of noisy ones
BITS_A_PIXEL = 0.6  # a preview of more looks no better
LEAST_BITS_A_PIXEL = 0.08
EXACT = {"lossless": "1", "deadline": "good", "cpu-used": "5", "lag-in-frames": "0", "auto-alt-ref": "0"}
PREVIEW = {"crf": "20", "deadline": "good", "cpu-used": "5", "lag-in-frames": "0", "auto-alt-ref": "0"}
RGB, BT709, LIMITED, FULL = 0, 1, 1, 2  # FFmpeg's names of colour matrices and ranges


@dataclass(frozen=True)
class Kept:
    """Consecutive frames of a clip that were kept of every method: stems, and label -> stem -> PNG."""

    clip: ClipRecord
    stems: tuple[str, ...]
    sources: Mapping[str, Mapping[str, Path]]


@dataclass(frozen=True)
class Track:
    """One video: whose frames, and its file relative to the page; `kind` is input, method or truth."""

    label: str
    title: str
    kind: str
    file: str


@dataclass(frozen=True)
class Film:
    """A clip's videos in step: `frames` are the stems in order, `exact` says that every pixel is that of the PNG.

    `flicker` has for each label the mean absolute change of its pixels from a frame to the next, in grey levels.
    """

    clip: str
    frames: tuple[str, ...]
    of: int
    tracks: tuple[Track, ...]
    width: int
    height: int
    exact: bool
    flicker: Mapping[str, tuple[float, ...]]
    rate: int = RATE


@dataclass(frozen=True)
class Playback:
    """The excerpts of a report, the rule they were cut by, and what is missing, in words."""

    films: tuple[Film, ...] = ()
    rule: str = ""
    missing: tuple[str, ...] = ()

    @property
    def files(self) -> list[str]:
        """Names of all videos, relative to the page."""
        return [track.file for film in self.films for track in film.tracks]


@dataclass(frozen=True)
class _Cut:
    """How long an excerpt is, and how many bits a second it may take; None means without loss."""

    frames: int
    bit_rate: int | None


def sequences(table: ResultTable) -> list[Kept]:
    """The clips of which consecutive frames were kept of every method, as `--save-frames all` does."""
    found = []
    for clip in table.clips:
        kept = sources(table, clip)
        run = _longest_run(clip, kept)
        if kept and len(run) >= min(SHORTEST, len(clip.frames)) > 1:
            found.append(Kept(clip, tuple(run), kept))
    return found


def collect(
    table: ResultTable,
    found: Sequence[Kept],
    labels: Sequence[str],
    folder: Path,
    budget: int,
    progress: Callable[[str, int, int], None],
) -> Playback:
    """Write the excerpts of the methods named into `folder`/videos, within `budget` bytes."""
    found = [_only(one, labels) for one in found]
    if not found or budget <= 0:
        return Playback()
    share = _share(found)
    cut = _plan(found, budget, share)
    films, missing, spent = [], [], 0
    total, done = sum(len(one.sources) for one in found), 0
    for one in found:
        shorter = _excerpt(one, cut.frames)

        def tell(number: int, before: int = done) -> None:
            progress("videos", before + number, total)

        try:
            film, size = _film(table, shorter, cut.bit_rate, folder, tell)
            if spent + size > budget and cut.bit_rate is None:
                film, size = _film(table, shorter, _bit_rate(found, budget, cut.frames), folder, tell)
        except FrameError as error:
            missing.append(str(error))
            continue
        finally:
            done += len(one.sources)
        if spent + size > budget:
            missing.append(f"The excerpt of {one.clip.name} is left out: it would exceed the budget.")
            continue
        films.append(film)
        spent += size
    progress("videos", total, total)
    rule = f"{_chosen(table)}{_rule(films, _needed(found, share))}" if films else ""
    return Playback(tuple(films), rule, tuple(missing))


def encode(frames: Iterator[Frame8], width: int, height: int, bit_rate: int | None) -> bytes:
    """Frames (H, W, 3) uint8 RGB as a WebM: VP9 without loss (`bit_rate` None), or with loss at most at that rate."""
    import av

    exact = bit_rate is None
    out = io.BytesIO()
    with av.open(out, "w", format="webm", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream("libvpx-vp9", rate=RATE, options=EXACT if exact else PREVIEW)
        context = stream.codec_context
        stream.width, stream.height, stream.pix_fmt = width, height, "gbrp" if exact else "yuv420p"
        context.thread_count, context.gop_size = 1, KEY_FRAMES
        context.colorspace, context.color_range = (RGB, FULL) if exact else (BT709, LIMITED)
        if bit_rate is not None:
            context.bit_rate = bit_rate
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture = picture.reformat(format=stream.pix_fmt, dst_colorspace=None if exact else BT709)
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return out.getvalue()


def _longest_run(clip: ClipRecord, kept: Mapping[str, Mapping[str, Path]]) -> list[str]:
    longest: list[str] = []
    current: list[str] = []
    for stem in clip.frames:
        current = [*current, stem] if all(stem in frames for frames in kept.values()) else []
        longest = max(longest, current, key=len)
    return longest


def _only(one: Kept, labels: Sequence[str]) -> Kept:
    return Kept(one.clip, one.stems, {label: one.sources[label] for label in labels if label in one.sources})


def _excerpt(one: Kept, count: int) -> Kept:
    first = (len(one.stems) - min(count, len(one.stems))) // 2
    return Kept(one.clip, one.stems[first : first + count], one.sources)


def _share(found: Sequence[Kept]) -> float:
    """What lossless VP9 takes of the PNGs: measured on a few frames around the middle of up to three clips."""
    encoded = stored = 0
    for one in found[:: max(1, len(found) // 2)][:3]:
        short = _excerpt(one, PROBE)
        every = list(one.sources.values())
        for files in (every[0], every[-1]):
            try:
                first = read_frame(files[short.stems[0]])
                encoded += len(encode(_frames(files, short.stems, first.shape), first.shape[1], first.shape[0], None))
            except FrameError:  # told when the clip's turn comes
                continue
            stored += sum(files[stem].stat().st_size for stem in short.stems)
    return encoded / stored if stored else 1.0


def _frame_bytes(one: Kept) -> int:
    """Bytes of the PNGs of one frame of all methods, the middle one."""
    stem = one.stems[len(one.stems) // 2]
    files = [frames[stem] for frames in one.sources.values()]
    return sum(file.stat().st_size for file in files if file.is_file())


def _needed(found: Sequence[Kept], share: float) -> float:
    """Estimated bytes of all excerpts, as long as they may be, without loss."""
    return share * sum(_frame_bytes(one) * min(LONGEST, len(one.stems)) for one in found)


def _plan(found: Sequence[Kept], budget: int, share: float) -> _Cut:
    """The same length and kind for all clips: without loss where `SHORTEST` frames fit, else a preview."""
    longest = min(LONGEST, max(len(one.stems) for one in found))
    if _needed(found, share) <= budget:
        return _Cut(longest, None)
    count = int(budget / (share * sum(map(_frame_bytes, found))))
    if count >= SHORTEST:
        return _Cut(count, None)
    pixels = sum(one.clip.width * one.clip.height * len(one.sources) for one in found)
    count = max(2, min(longest, int(8 * budget / (pixels * LEAST_BITS_A_PIXEL))))
    return _Cut(count, _bit_rate(found, budget, count))


def _bit_rate(found: Sequence[Kept], budget: int, count: int) -> int:
    """Bits a second of a track, so that all of them fill most of the budget and none takes more than looks better."""
    tracks = sum(len(one.sources) for one in found)
    pixels = max(one.clip.width * one.clip.height for one in found)
    return int(min(0.7 * 8 * budget / tracks * RATE / count, BITS_A_PIXEL * pixels * RATE))


def _film(
    table: ResultTable, one: Kept, bit_rate: int | None, folder: Path, tell: Callable[[int], None]
) -> tuple[Film, int]:
    tracks, size, flicker = [], 0, {}
    first = read_frame(next(iter(one.sources.values()))[one.stems[0]])
    height, width = first.shape[:2]
    for number, (label, files) in enumerate(one.sources.items()):
        tell(number)
        changes: list[float] = []
        data = encode(_measured(_frames(files, one.stems, first.shape), changes), width, height, bit_rate)
        flicker[label] = tuple(changes)
        file = Path("videos") / safe_name(one.clip.name) / f"{safe_name(label)}.webm"
        write_atomically(folder / file, data)
        size += len(data)
        tracks.append(Track(label, *_title(table, label), file.as_posix()))
    film = Film(one.clip.name, one.stems, len(one.clip.frames), tuple(tracks), width, height, bit_rate is None, flicker)
    return film, size


def _frames(files: Mapping[str, Path], stems: Sequence[str], shape: tuple[int, ...]) -> Iterator[Frame8]:
    for stem in stems:
        frame = read_frame(files[stem])
        if frame.shape != shape:
            raise FrameError(
                f"{files[stem]}: {frame.shape[1]}x{frame.shape[0]}, the others {shape[1]}x{shape[0]}", "size"
            )
        yield frame


def _measured(frames: Iterator[Frame8], changes: list[float]) -> Iterator[Frame8]:
    """Pass frames on, and note how much each differs from the one before it."""
    before = None
    for frame in frames:
        if before is not None:
            changes.append(float(np.abs(frame.astype(np.int16) - before).mean()))
        before = frame
        yield frame


def _title(table: ResultTable, label: str) -> tuple[str, str]:
    if label == GROUND_TRUTH:
        return "Ground truth", "truth"
    return ("Blurry input", "input") if label == input_label(table) == IDENTITY else (label, "method")


def _chosen(table: ResultTable) -> str:
    """How a run that keeps a sample chose the clips of its films."""
    sampled = all(run.manifest.request.save_frames == "sample" for run in table.runs)
    return (
        "Clips chosen by their place, at 1/4 and 3/4 of the list (the middle one of large frames). " if sampled else ""
    )


def _rule(films: Sequence[Film], needed: float) -> str:
    if not films:
        return ""
    longest = max(len(film.frames) for film in films)
    part = (
        "Whole clips" if all(len(film.frames) == film.of for film in films) else f"{longest} frames around the middle"
    )
    if all(film.exact for film in films):
        return f"{part}, encoded without loss (VP9): every pixel is that of the restored frame."
    budget = -(-int(1.3 * needed) // (10 * MEGABYTE)) * 10 * 2
    return (
        f"{part}. Those marked as previews are encoded with loss (VP9): judge motion by them, not pixels. "
        f"'deblurbench report --budget {budget}' would hold all of them without loss."
    )
