"""Which of the frames in a folder is which frame of a protocol's clips: by name alone, every doubt an error.

DIR/<clip>/<stem>.png     a folder a clip (the clip's `:` may be written `-`, as in OUTPUT/frames)
DIR/<stem>.png            where one clip is selected
DIR/<clip>.mkv, .mp4      a video a clip, with exactly the clip's frames in their order
any.mkv, .mp4             where one clip is selected
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deblurbench.datasets.base import FrameSource, ImageFiles
from deblurbench.datasets.headers import headers_of
from deblurbench.datasets.selection import PlannedClip
from deblurbench.errors import FrameError, MissingError, UsageError
from deblurbench.frames.images import SUFFIXES, list_frames
from deblurbench.frames.video import LOSSLESS, VideoSource, is_video
from deblurbench.results.store import folder_name
from deblurbench.text import composed, counted, did_you_mean, some

LOSSY = (".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class MatchedClip:
    """A clip and the frames that stand for it: `source` decodes them, `stems` are their names in the clip's terms."""

    planned: PlannedClip
    place: Path
    source: FrameSource
    stems: tuple[str, ...]

    def line(self) -> str:
        """What was matched, in figures."""
        scored = len(self.planned.scored)
        return (
            f"{self.planned.clip.name}: {self.place} ({scored} of {scored} scored frames, {len(self.stems)} decoded, "
            f"{len(self.planned.clip)} in the clip)"
        )


@dataclass
class Match:
    """A whole folder matched: `notes` say what was passed over and what is lossy."""

    folder: Path
    clips: list[MatchedClip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Faults:
    """What keeps a folder from being scored; `missing` alone means that only frames or clips are not there."""

    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def match_folder(folder: Path, clips: Sequence[PlannedClip], known: Collection[str]) -> Match:
    """Find the frames of every clip of a selection in `folder` (or video); `known` names all clips of the split.

    Raises:
        MissingError: the folder, clips or scored frames are not there; all of them are named.
        UsageError: frames or folders that match nothing, wrong sizes, unreadable files; all of them are named.
    """
    if not folder.exists():
        raise MissingError(f"{folder}: no such folder. Name the folder that holds one folder (or video) a clip.")
    match, faults = Match(folder), _Faults()
    if folder.is_dir():
        places = _places(folder, clips, match, faults)
        _strangers(places, clips, known, match, faults)
    else:
        places = {_only(folder, clips).clip.name: folder}
    for planned in clips:
        place = places.get(planned.clip.name) or places.get(folder_name(planned.clip.name))
        if place is None:
            faults.missing.append(f"{planned.clip.name}: no folder and no video of this name")
        else:
            _match_clip(place, planned, match, faults)
    if faults.missing or faults.wrong:
        raise _error(folder, faults)
    return match


def _only(file: Path, clips: Sequence[PlannedClip]) -> PlannedClip:
    """The clip that a single video stands for."""
    if not is_video(file):
        raise UsageError(f"{file}: a file, and no video. Name a video, or the folder that holds one a clip.")
    if len(clips) != 1:
        raise UsageError(
            f"{file}: one video stands for one clip, but {len(clips)} are selected. Choose one with --clips, or name "
            "the folder that holds a video a clip."
        )
    return clips[0]


def _places(folder: Path, clips: Sequence[PlannedClip], match: Match, faults: _Faults) -> dict[str, Path]:
    """Folders and videos by the clip that their name means; frames directly in the folder stand for the only clip."""
    entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
    flat = [e for e in entries if e.is_file() and e.suffix.lower() in SUFFIXES]
    places: dict[str, Path] = {}
    for entry in [e for e in entries if e.is_dir() or is_video(e)]:
        name = composed(entry.name if entry.is_dir() else entry.stem)
        if name in places:
            faults.wrong.append(f"{name}: both {places[name].name} and {entry.name} are there; keep one of them")
        places[name] = entry
    others = [e.name for e in entries if e.is_file() and e not in flat and not is_video(e)]
    if others:
        match.notes.append(f"passed over, neither frames nor videos: {some(others)}")
    if flat and (len(clips) > 1 or places):
        why = f"{len(clips)} clips are selected" if len(clips) > 1 else "there are folders or videos, too"
        faults.wrong.append(
            f"{counted(len(flat), 'frame')} directly in the folder, but {why}: put frames into a folder a clip"
        )
    elif flat and clips:
        places[clips[0].clip.name] = folder
    return places


def _strangers(
    places: dict[str, Path], clips: Sequence[PlannedClip], known: Collection[str], match: Match, faults: _Faults
) -> None:
    """Tell what matches a clip that was not selected, and refuse what matches none."""
    selected = {spelling for c in clips for spelling in (c.clip.name, folder_name(c.clip.name))}
    others = {spelling for name in known for spelling in (name, folder_name(name))} - selected
    unselected = [name for name in places if name in others]
    if unselected:
        match.notes.append(f"not selected and passed over: {some(unselected)}")
    for name in [name for name in places if name not in selected | others]:
        faults.wrong.append(f"{places[name].name}: no clip of the protocol has this name. {did_you_mean(name, known)}")


def _match_clip(place: Path, planned: PlannedClip, match: Match, faults: _Faults) -> None:
    try:
        if place.is_dir():
            _match_images(place, planned, match, faults)
        else:
            _match_video(place, planned, match, faults)
    except FrameError as error:
        faults.wrong.append(str(error))


def _match_images(place: Path, planned: PlannedClip, match: Match, faults: _Faults) -> None:
    files = {file.stem: file for file in list_frames(place)}
    name, stems = planned.clip.name, list(planned.clip.stems)
    extra = [stem for stem in files if stem not in set(stems)]
    if files and len(extra) == len(files):
        faults.wrong.append(
            f"{name}: none of the {len(files)} frames in {place} ({_range(list(files))}) is named as the clip's "
            f"{len(stems)} ({_range(stems)}); rename them, nothing is matched by position"
        )
        return
    if extra:
        faults.wrong.append(f"{name}: {len(extra)} frames in {place} are none of the clip's: {some(extra)}")
    missing = [stem for stem in planned.scored if stem not in files]
    if missing:
        faults.missing.append(
            f"{name}: {len(missing)} of {len(planned.scored)} scored frames are missing in {place}: {some(missing)}"
        )
        return
    paths = [files[stem] for stem in planned.scored]
    _check_sizes(paths, planned, faults)
    if any(path.suffix.lower() in LOSSY for path in paths):
        match.notes.append(f"{name}: {paths[0].suffix} files may be lossy; what they decode to is scored")
    match.clips.append(MatchedClip(planned, place, ImageFiles(tuple(paths)), tuple(planned.scored)))


def _match_video(place: Path, planned: PlannedClip, match: Match, faults: _Faults) -> None:
    video, name, stems = VideoSource(place), planned.clip.name, tuple(planned.clip.stems)
    count, size = len(video.stems), video.size()
    if count != len(stems):
        faults.wrong.append(
            f"{name}: {place.name} has {counted(count, 'frame')} and the clip {len(stems)}; a video must hold all "
            "of the clip's frames in their order (those that are not scored, too), since its frames have no names"
        )
    if planned.size and size != planned.size:
        faults.wrong.append(_wrong_size(name, place.name, size, planned.size))
    if place.suffix.lower() not in LOSSLESS:
        match.notes.append(f"{name}: {place.name} is likely lossy; what it decodes to is scored")
    match.clips.append(MatchedClip(planned, place, video, stems))


def _check_sizes(paths: Sequence[Path], planned: PlannedClip, faults: _Faults) -> None:
    headers, unreadable = headers_of(paths)
    faults.wrong += unreadable
    wrong = {path.stem: header[:2] for path, header in headers.items() if planned.size and header[:2] != planned.size}
    if wrong and planned.size:
        size = next(iter(wrong.values()))
        faults.wrong.append(_wrong_size(planned.clip.name, some(list(wrong)), size, planned.size))


def _wrong_size(clip: str, what: str, size: tuple[int, int], expected: tuple[int, int]) -> str:
    return (
        f"{clip}: {what}: {size[0]}x{size[1]} pixels, the ground truth has {expected[0]}x{expected[1]}; "
        "frames are never resized or cropped to fit"
    )


def _range(stems: Sequence[str]) -> str:
    return f"{stems[0]} to {stems[-1]}" if len(stems) > 1 else stems[0]


def _error(folder: Path, faults: _Faults) -> MissingError | UsageError:
    lines = [*faults.wrong, *faults.missing]
    shown = [f"  {line}" for line in lines[:20]] + ([f"  ... {len(lines)} faults in all"] if len(lines) > 20 else [])
    text = f"{folder} does not fit the frames to be scored; nothing was scored:\n" + "\n".join(shown)
    if faults.wrong:
        return UsageError(text)
    return MissingError(f"{text}\nAdd what is missing, or name the clips that are there with --clips.")
