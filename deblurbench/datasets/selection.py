"""Which clips and frames of a dataset a request takes, what is wrong with them, and how much of the whole that is."""

from __future__ import annotations

import hashlib
import itertools
import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deblurbench.datasets.base import Clip
from deblurbench.datasets.sums import Sums
from deblurbench.errors import MissingError, UsageError
from deblurbench.registry.cards import DatasetCard
from deblurbench.registry.protocol import Protocol
from deblurbench.results.coverage import Coverage
from deblurbench.results.manifest import ClipRecord, Request
from deblurbench.results.store import folder_name
from deblurbench.text import NAMED, counted, did_you_mean, natural_key, some


@dataclass(frozen=True)
class PlannedClip:
    """A clip as far as the run takes it: its first frames, which are scored, and why it cannot be run if it cannot."""

    clip: Clip
    scored: tuple[str, ...]
    size: tuple[int, int] | None
    problems: tuple[str, ...] = ()

    def record(self) -> ClipRecord:
        """The clip as run.json names it."""
        width, height = self.size or (0, 0)
        return ClipRecord(
            name=self.clip.name,
            frames=list(self.clip.stems),
            scored=list(self.scored),
            released=self.clip.released,
            width=width,
            height=height,
            ground_truth=self.clip.sharp is not None,
            notes=list(self.clip.notes),
        )

    def fingerprint(self) -> str:
        """Digest of names, sizes and times of all its files, to notice changed data."""
        return fingerprint(self.clip)


def fingerprint(clip: Clip) -> str:
    """sha256 over names, sizes and times of all files of a clip, as 64 hexadecimal digits."""
    body = json.dumps([clip.blurry.fingerprint(), clip.sharp.fingerprint() if clip.sharp else None])
    return hashlib.sha256(body.encode()).hexdigest()


def choose_clips(clips: list[Clip], request: Request, protocol: Protocol, split: str) -> list[Clip]:
    """The clips that a request selects, in natural order.

    Raises:
        UsageError: a clip that is not there (the nearest name is given), or two that would share a folder.
    """
    if protocol.clips and not request.clips and split == protocol.split:
        clips = [clip for clip in clips if clip.name in protocol.clips]
    if request.clips:
        clips = named_clips(clips, request.clips, split)
    folders: dict[str, str] = {}
    refuse_undecodable(name for clip in clips for name in (clip.name, *clip.stems))
    for clip in clips:
        if folders.setdefault(folder_name(clip.name), clip.name) != clip.name:
            raise UsageError(f"clips {folders[folder_name(clip.name)]!r} and {clip.name!r} would share a folder")
    clips.sort(key=lambda clip: natural_key(clip.name))
    return clips[: request.limit]


def listed(text: str) -> list[str]:
    """The words of a comma-separated text, without the blanks around them."""
    return [word.strip() for word in text.split(",") if word.strip()]


def named_clips(clips: Sequence[Clip], names: Sequence[str], split: str) -> list[Clip]:
    """The clips that `--clips` names. A name may hold commas itself: where several clips fit, the longest name counts.

    Raises:
        UsageError: a clip that is not there; the nearest name is given.
    """
    known = {tuple(listed(clip.name)): clip for clip in clips}
    longest = max(map(len, known), default=0)
    words = [word for name in names for word in listed(name)]
    chosen: dict[str, Clip] = {}
    while words:
        count = next((n for n in range(longest, 0, -1) if tuple(words[:n]) in known), 0)
        if not count:
            every = [clip.name for clip in clips]
            raise UsageError(f"no clip {words[0]!r} in split {split!r}. {did_you_mean(words[0], every)}")
        clip = known[tuple(words[:count])]
        chosen[clip.name] = clip
        words = words[count:]
    return list(chosen.values())


def without(rest: Sequence[str]) -> str:
    """What to do where some clips cannot be run, for messages; `rest` are the names of those that can."""
    named = shlex.quote(",".join(rest)) if len(rest) <= NAMED else "NAME,NAME,..."
    return f"Mend the files, or run the other {counted(len(rest), 'clip')} into another folder: --clips {named}."


def refuse_undecodable(names: Iterable[str]) -> None:
    """See that names of folders and files can be written into run.json, which is UTF-8.

    Raises:
        UsageError: a name is not UTF-8, as out of an archive packed under another encoding.
    """
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{name!r}: this name is not UTF-8. Rename it, e.g. with 'convmv -t utf8'.") from None


def first_frames(clip: Clip, frames: int | None) -> Clip:
    """A clip cut to its first `frames` frames (all for None)."""
    if frames is None:
        return clip
    return replace(clip, blurry=_first(clip.blurry, frames), sharp=_first(clip.sharp, frames))


def plan_clip(clip: Clip, protocol: Protocol, frames: int | None, sums: Sums | None = None) -> PlannedClip:
    """Cut a clip to its first `frames` frames, check the headers of its files, and say which frames are scored.

    Its files are held to the digests that are recorded in `sums`.
    """
    from deblurbench.datasets.headers import check_clip, clip_size

    problems = list(clip.problems)
    clip = first_frames(clip, frames)
    problems += [p for p in check_clip(clip) if p not in problems]
    problems += sums.faults(clip) if sums else []
    stems = list(clip.stems)
    scored = [stems[position] for position in protocol.scored(len(stems))] if clip.sharp and not problems else []
    if clip.sharp and not scored and not problems:
        first, last = protocol.leave_out
        problems.append(
            f"no frame left to score: the clip has {len(stems)} frames, and protocol {protocol.name!r} leaves out the "
            f"first {first} and the last {last}. Take more frames, or a protocol that scores all"
        )
    size = None if problems else clip_size(clip)
    return PlannedClip(clip, tuple(scored), size, tuple(problems))


def _first(source: Any, frames: int) -> Any:
    if source is None or len(source.stems) <= frames:
        return source
    return source.first(frames)


def refuse_unscorable(clips: Sequence[Clip], request: Request, protocol: Protocol) -> None:
    """See that --frames-per-clip leaves a frame to score.

    Raises:
        UsageError: it leaves none of any clip; says the least that does.
    """
    count = request.frames_per_clip
    if count is None or protocol.scored(count) or not any(clip.sharp for clip in clips):
        return
    first, last = protocol.leave_out
    least = next(number for number in itertools.count(count) if protocol.scored(number))
    raise UsageError(
        f"--frames-per-clip {count}: nothing would be scored, since protocol {protocol.name!r} scores none of "
        f"{counted(count, 'frame')} (it leaves out the first {first} and the last {last}). Use --frames-per-clip "
        f"{least} or more, or a protocol that scores all frames."
    )


def coverage_of(
    card: DatasetCard, protocol: Protocol, split: str, present: Sequence[Clip], clips: tuple[PlannedClip, ...]
) -> tuple[str, bool]:
    """How much of the split a run covers, in figures, and whether that is less than all of it.

    Where nobody has listed what was released, all is `present`: the split's clips before any were chosen or cut.
    """
    expected = _expected(card, protocol, split)
    lengths = {clip.name: clip.released or len(clip) for clip in present}
    strange = _strange(expected, clips)
    known = len(clips) - len(strange)
    total = len(expected) or len(present)
    frames = sum(len(clip.clip) for clip in clips)
    released = sum(lengths[clip.clip.name] for clip in clips)
    scored = sum(len(clip.scored) for clip in clips)
    coverage = Coverage(known, total, frames, released, scored, len(strange), _resized(protocol, clips))
    whole = coverage.is_whole and all(len(clip.clip) == lengths[clip.clip.name] for clip in clips)
    return str(coverage), not whole


def _expected(card: DatasetCard, protocol: Protocol, split: str) -> tuple[str, ...]:
    """Names of the clips that a protocol is run on, or that a split has; none where nobody has listed them."""
    if protocol.clips and split == protocol.split:
        return tuple(protocol.clips)
    return tuple(entry.name for entry in card.splits.get(split, ()))


def _strange(expected: tuple[str, ...], clips: tuple[PlannedClip, ...]) -> list[str]:
    """Clips that are no part of the benchmark."""
    return [clip.clip.name for clip in clips if expected and clip.clip.name not in expected]


def _resized(protocol: Protocol, clips: tuple[PlannedClip, ...]) -> str:
    """A phrase that names frames of another size than the protocol's, or nothing."""
    odd = [clip.size for clip in clips if clip.size and protocol.size and clip.size != protocol.size]
    if not odd or not protocol.size:
        return ""
    return f"at {odd[0][0]}x{odd[0][1]} instead of {protocol.size[0]}x{protocol.size[1]}"


def refuse_silent_partial(
    card: DatasetCard, request: Request, protocol: Protocol, split: str, clips: tuple[PlannedClip, ...]
) -> None:
    """See that a copy with fewer clips or frames, or frames of another size, runs only when the user means it.

    Raises:
        MissingError: what is missing, and how to run it all the same.
    """
    if request.partial or request.clips:
        return
    present = {clip.clip.name for clip in clips}
    expected = _expected(card, protocol, split)
    missing = [name for name in expected if name not in present] if request.limit is None else []
    whole = [c for c in clips if request.frames_per_clip is None and c.clip.released]
    differences = [
        (len(c.clip) - (c.clip.released or 0), f"{c.clip.name} ({len(c.clip)} of {c.clip.released})") for c in whole
    ]
    faults = {
        "missing clips": missing,
        "clips that it does not know": _strange(expected, clips),
        "clips with missing frames": [name for more, name in differences if more < 0],
        "clips with more frames than were released": [name for more, name in differences if more > 0],
    }
    phrases = [f"{what}: {some(names)}" for what, names in faults.items() if names]
    summary = "; ".join(filter(None, [*phrases, _resized(protocol, clips)]))
    if summary:
        raise MissingError(
            f"{card.name}: this copy is not what protocol {protocol.name!r} is run on ({summary}). Scores on it are "
            "not comparable with the benchmark: run it with --partial or name clips with --clips, and tables say so."
        )
