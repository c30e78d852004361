"""What lies under a dataset's root (`data info`), and what is wrong with it (`data verify`)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from deblurbench.datasets.base import Clip, Dataset, Found, ImageFiles, splits_in_words
from deblurbench.datasets.blurkind import brighter_by, guess_kind
from deblurbench.datasets.colours import look_swapped
from deblurbench.datasets.headers import check_clip, clip_size
from deblurbench.datasets.layouts import expected_clips, is_renumbered
from deblurbench.datasets.strict import quiet_decoders, read_strictly
from deblurbench.datasets.sums import read_sums
from deblurbench.errors import FrameError, MissingError
from deblurbench.frames.convert import Frame8
from deblurbench.provenance import file_sha256
from deblurbench.registry.cards import ExpectedClip
from deblurbench.registry.protocol import Protocol
from deblurbench.text import counted, some

SAMPLED = 8
Severity = Literal["error", "warning", "note"]
Splits: TypeAlias = Mapping[str, Sequence[ExpectedClip]]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as released. `clip` and `frame` are empty where it concerns more than one."""

    severity: Severity
    clip: str
    frame: str
    message: str

    def __str__(self) -> str:
        """`severity  clip/frame: message`."""
        where = "/".join(filter(None, (self.clip, self.frame)))
        return f"{self.severity:<8}{where + ': ' if where else ''}{self.message}"


@dataclass
class VerifyReport:
    """What `verify` found. `ok` is False if there is an error; warnings and notes leave it True.

    `released` is False where nobody released the clips: they are one's own, or were made here.
    """

    protocol: str
    layout: str
    root: str
    deep: bool
    released: bool = True
    coverage: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the copy can be run and scored as the protocol says."""
        return not any(f.severity == "error" for f in self.findings)

    def add(self, severity: Severity, message: str, clip: str = "", frame: str = "") -> None:
        """Write down a finding."""
        self.findings.append(Finding(severity, clip, frame, message))

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {"ok": self.ok, **asdict(self)}

    def as_text(self) -> str:
        """For people: what was looked at, the findings with the worst first, and the verdict."""
        order = {"error": 0, "warning": 1, "note": 2}
        counts = {name: sum(f.severity == name for f in self.findings) for name in order}
        lines = [f"{self.protocol} in {self.root}", f"layout {self.layout}"]
        lines += [f"split {split}: {text}" for split, text in self.coverage.items()]
        lines += [str(f) for f in sorted(self.findings, key=lambda f: order[f.severity])]
        depth = "every frame decoded" if self.deep else f"headers of every frame, pixels of up to {SAMPLED} a clip"
        sound = "as released" if self.released else "complete and readable"
        verdict = f"{sound}, as far as looked at" if not any(counts.values()) else ", ".join(
            counted(count, name) for name, count in counts.items() if count
        )  # fmt: skip
        return "\n".join([*lines, f"{verdict} ({depth})"])


@dataclass(frozen=True)
class Info:
    """What `info` recognised: the layout, the clips by split, and which protocols can run here."""

    dataset: str
    layout: str
    root: str
    coverage: dict[str, str]
    clips: tuple[dict[str, Any], ...]
    protocols: dict[str, str]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self)

    def as_text(self) -> str:
        """For people: splits, clips with their frames, the protocols that fit, and the notes."""
        lines = [f"{self.dataset} in {self.root}", f"layout {self.layout}"]
        for split, text in self.coverage.items():
            lines.append(f"split {split}: {text}")
            lines += [_clip_line(c) for c in self.clips if c["split"] == split]
        lines.append(
            f"protocols that fit: {', '.join(n for n, reason in self.protocols.items() if not reason) or 'none'}"
        )
        lines += [f"  not {name}: {reason}" for name, reason in self.protocols.items() if reason]
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


def info(dataset: Dataset, protocol: Protocol) -> Info:
    """What is recognised under the dataset's root, by the protocol asked or else the first that fits. Reads no frame.

    Raises:
        MissingError: no protocol of the dataset fits; the reason is the asked protocol's.
    """
    tried = {p.name: _try(dataset, p) for p in (protocol, *dataset.card.protocols)}
    listing = next((f for f in tried.values() if isinstance(f, Found)), None)
    if listing is None:
        dataset.find(protocol)
        raise AssertionError("the protocol was not found a moment ago")  # pragma: no cover
    reasons = {p.name: _unfit(tried[p.name], p) for p in (protocol, *dataset.card.protocols)}
    coverage = {split: _coverage(dataset, split, clips) for split, clips in listing.splits.items()}
    clips = tuple(_clip_row(split, clip) for split, members in listing.splits.items() for clip in members)
    names = {p.name: reasons[p.name] for p in dataset.card.protocols}
    return Info(dataset.card.name, listing.layout, str(listing.root), coverage, clips, names, listing.notes)


def verify(dataset: Dataset, protocol: Protocol, deep: bool = False) -> VerifyReport:
    """Compare a copy with its card, and look for damaged, swapped, doubled and renumbered frames.

    Reads the header of every frame, and decodes up to 8 frames of a clip, or all of them with `deep`. Where digests
    are recorded, files are held to them: all with `deep`, otherwise those of another size or time than when recorded.

    Raises:
        MissingError: nothing is recognised.
    """
    listing = dataset.find(protocol)
    card = dataset.card
    report = VerifyReport(protocol.name, listing.layout, str(listing.root), deep, card.needs_root and bool(card.splits))
    others = _other_kind(dataset, protocol)
    sums = read_sums(listing.root)
    for note in (*listing.notes, *_jpeg_note(listing)):
        report.add("note", note)
    for split in dict.fromkeys((protocol.split, *listing.splits)):
        clips = listing.splits.get(split, ())
        report.coverage[split] = _coverage(dataset, split, clips)
        _verify_split(report, dataset.card.splits, clips, protocol, split)
        for clip in clips:
            released = expected_clips(dataset.card.splits.get(split, ())).get(clip.name)
            _verify_clip(report, clip, released, protocol, others.get((split, clip.name)))
            for fault in sums.faults(clip, deep) if sums else ():
                report.add("error", fault, clip.name)
    return report


def _try(dataset: Dataset, protocol: Protocol) -> Found | str:
    try:
        return dataset.find(protocol)
    except MissingError as error:
        return str(error).partition("\n")[0]


def _unfit(listing: Found | str, protocol: Protocol) -> str:
    """Why a protocol cannot run on what was found; empty where it can."""
    if isinstance(listing, str):
        return listing
    present = listing.splits.get(protocol.split, ())
    chosen = [clip for clip in present if not protocol.clips or clip.name in protocol.clips]
    if any(not clip.problems for clip in chosen):
        return ""
    if chosen:
        return f"none of {counted(len(chosen), 'clip')} can be run; each says why"
    which = "its clips" if present else "clips"
    return f"no {which} of split {protocol.split!r} (found: {splits_in_words(listing.splits)})"


def _clip_row(split: str, clip: Clip) -> dict[str, Any]:
    stems = clip.stems
    return {
        "split": split, "clip": clip.name, "frames": len(stems), "released": clip.released,
        "first": stems[0] if stems else None, "last": stems[-1] if stems else None,
        "ground_truth": clip.sharp is not None, "problems": list(clip.problems),
    }  # fmt: skip


def _clip_line(row: dict[str, Any]) -> str:
    of = f" of {row['released']}" if row["released"] else ""
    span = f"  {row['first']} .. {row['last']}" if row["first"] else ""
    truth = "" if row["ground_truth"] else "  no ground truth"
    problems = "".join(f"\n    cannot run: {problem}" for problem in row["problems"])
    return f"  {row['clip']}  {row['frames']}{of} frames{span}{truth}{problems}"


def _coverage(dataset: Dataset, split: str, clips: Sequence[Clip]) -> str:
    expected = dataset.card.splits.get(split, ())
    frames = sum(len(clip) for clip in clips)
    if not expected:
        return f"{counted(len(clips), 'clip')}, {counted(frames, 'frame')}"
    return f"{len(clips)} of {counted(len(expected), 'clip')}, {frames} of {sum(e.frames for e in expected)} frames"


def _other_kind(dataset: Dataset, protocol: Protocol) -> dict[tuple[str, str], Clip]:
    """The same clips averaged the other way, where a protocol for them exists and their files are others."""
    others = [p for p in dataset.card.protocols if {p.blur, protocol.blur} == {"gamma", "linear"}]
    twin = next((p for p in others if p.subset == protocol.subset), None)
    listing = _try(dataset, twin) if twin else ""
    return {(s, c.name): c for s, clips in listing.splits.items() for c in clips} if isinstance(listing, Found) else {}


def _jpeg_note(listing: Found) -> list[str]:
    """A note where sharp frames are JPEG and the dataset has not said so itself."""
    sharp = [clip.sharp for clips in listing.splits.values() for clip in clips if isinstance(clip.sharp, ImageFiles)]
    lossy = [source for source in sharp if source.paths and source.paths[0].suffix.lower() in (".jpg", ".jpeg")]
    if not lossy or any("JPEG" in note for note in listing.notes):
        return []
    return [f"ground truth is JPEG in {len(lossy)} of {counted(len(sharp), 'clip')}: scores are against lossy frames"]


def _verify_split(report: VerifyReport, splits: Splits, clips: Sequence[Clip], protocol: Protocol, split: str) -> None:
    expected = splits.get(split, ())
    present = {clip.name for clip in clips}
    required = protocol.clips if protocol.clips and split == protocol.split else [e.name for e in expected]
    missing = [name for name in required if name not in present]
    if missing:
        severity: Severity = "error" if split == protocol.split else "note"
        of = counted(len(required), "clip")
        report.add(severity, f"split {split!r}: {len(missing)} of {of} missing: {some(missing)}")
    names = {name: {e.name for e in members} for name, members in splits.items()}
    strangers = [clip.name for clip in clips if clip.name not in names.get(split, ())]
    for name, known in names.items():
        strayed = [clip for clip in strangers if clip in known]
        if strayed:
            report.add("error", f"clips of split {name!r} lie in split {split!r}: {some(strayed)}")
    extra = [clip for clip in strangers if names and not any(clip in known for known in names.values())]
    if extra:
        report.add("warning", f"split {split!r}: clips that were not released: {some(extra)}")


def _verify_clip(
    report: VerifyReport, clip: Clip, released: ExpectedClip | None, protocol: Protocol, other: Clip | None
) -> None:
    for problem in dict.fromkeys((*clip.problems, *check_clip(clip, every=True))):
        report.add("error", problem, clip.name)
    if released and len(clip) < released.frames:
        report.add("warning", f"{len(clip)} of {released.frames} frames", clip.name)
    if released and len(clip) > released.frames:
        report.add("warning", f"{counted(len(clip), 'frame')}, {released.frames} were released", clip.name)
    if is_renumbered(clip.stems, released):
        report.add(
            "warning", f"renumbered: begins at {clip.stems[0]}, released from {released and released.first}", clip.name
        )
    _verify_size(report, clip, protocol)
    for side, source in (("blurry", clip.blurry), ("sharp", clip.sharp)):
        if isinstance(source, ImageFiles):
            _verify_repeats(report, clip.name, side, source.paths)
    _verify_pixels(report, clip, protocol, other)


def _verify_size(report: VerifyReport, clip: Clip, protocol: Protocol) -> None:
    try:
        size = clip_size(clip)
    except FrameError:
        return  # reported by check_clip
    if size and protocol.size and size != protocol.size:
        required = "x".join(map(str, protocol.size))
        report.add("error", f"frames are {size[0]}x{size[1]}; {protocol.name} has {required}", clip.name)


def _verify_repeats(report: VerifyReport, clip: str, side: str, paths: Sequence[Path]) -> None:
    """Neighbouring frames that are the same file twice; only files of equal size are read."""
    twins = [two.stem for one, two in itertools.pairwise(paths) if _same_file(one, two)]
    if twins:
        report.add("warning", f"{side} frames equal to the one before them: {some(twins)}", clip, twins[0])


def _verify_pixels(report: VerifyReport, clip: Clip, protocol: Protocol, other: Clip | None) -> None:
    if not (isinstance(clip.blurry, ImageFiles) and isinstance(clip.sharp, ImageFiles)):
        if report.deep:
            _decode_all(report, clip)
        return
    pairs = list(zip(clip.blurry.paths, clip.sharp.paths, strict=False))
    chosen = pairs if report.deep else _spread(pairs)
    read = _reader(report, clip.name)
    decoded = ((b.stem, read(b), read(s)) for b, s in chosen)
    sampled = {b.stem for b, _ in _spread(pairs)}
    samples: list[tuple[Frame8, Frame8]] = []
    equal = 0
    for stem, blurry, sharp in decoded:
        if blurry is None or sharp is None or blurry.shape != sharp.shape:
            continue
        equal += bool((blurry == sharp).all())
        if stem in sampled:
            samples.append((blurry, sharp))
    if equal:
        report.add("error", f"ground truth equals the input in {equal} of {len(chosen)} frames looked at", clip.name)
    if look_swapped(samples):
        report.add(
            "warning", "blurry and sharp frames fit better with red and blue swapped: one side is BGR written as RGB",
            clip.name,
        )  # fmt: skip
    _verify_kind(report, clip, samples, protocol, other)


def _verify_kind(
    report: VerifyReport, clip: Clip, samples: list[tuple[Frame8, Frame8]], protocol: Protocol, other: Clip | None
) -> None:
    """Whether the blurry frames are averaged as the protocol says: against the other folder, or by brightness."""
    if protocol.blur not in ("gamma", "linear") or not samples:
        return
    if other is not None and _differs(clip, other):
        _verify_twins(report, clip, other, protocol)
        return
    guess = guess_kind(samples)
    if guess.kind is None:
        report.add("note", f"blur kind not verified: it {guess}", clip.name)
    elif guess.kind != protocol.blur:
        report.add("error", f"{protocol.name} needs a {protocol.blur} average, and this {guess}", clip.name)


def _verify_twins(report: VerifyReport, clip: Clip, other: Clip, protocol: Protocol) -> None:
    these, others = (
        dict(zip(c.stems, c.blurry.paths, strict=True)) for c in (clip, other) if isinstance(c.blurry, ImageFiles)
    )
    common = _spread([stem for stem in these if stem in others])
    read = _reader(None, clip.name)
    frames = [(read(these[stem]), read(others[stem])) for stem in common]
    signs = [brighter_by(*(pair if protocol.blur == "gamma" else pair[::-1])) for pair in _same_shapes(frames)]
    if signs and max(signs) < 0:
        report.add(
            "error", "linear and gamma folders are swapped: the gamma average must be the brighter one", clip.name
        )
    elif signs and all(sign == 0 for sign in signs):
        report.add("error", "the linear and the gamma folder hold the same frames", clip.name)
    elif signs and min(signs) < 0:
        report.add("warning", "linear and gamma frames are mixed up in part of the clip", clip.name)


def _decode_all(report: VerifyReport, clip: Clip) -> None:
    for source in filter(None, (clip.blurry, clip.sharp)):
        try:
            with quiet_decoders():
                for _ in source:
                    pass
        except FrameError as error:
            report.add("error", str(error), clip.name)


def _reader(report: VerifyReport | None, clip: str) -> Callable[[Path], Frame8 | None]:
    """Decode a file, or write down why not (check_clip reports header faults)."""

    def read(path: Path) -> Frame8 | None:
        try:
            return read_strictly(path)
        except FrameError as error:
            known = report is None or any(str(error) in f.message for f in report.findings if f.clip == clip)
            if report is not None and not known:
                report.add("error", str(error), clip, path.stem)
            return None

    return read


def _same_shapes(pairs: Iterable[tuple[Frame8 | None, Frame8 | None]]) -> Iterator[tuple[Frame8, Frame8]]:
    return ((a, b) for a, b in pairs if a is not None and b is not None and a.shape == b.shape)


def _differs(clip: Clip, other: Clip) -> bool:
    one, two = _folder(clip), _folder(other)
    return one is not None and two is not None and one != two


def _folder(clip: Clip) -> Path | None:
    return clip.blurry.paths[0].parent if isinstance(clip.blurry, ImageFiles) and clip.blurry.paths else None


def _spread(items: Sequence[Any]) -> list[Any]:
    """Up to SAMPLED items, evenly over the whole, the first and the last included."""
    if len(items) <= SAMPLED:
        return list(items)
    return [items[round(k * (len(items) - 1) / (SAMPLED - 1))] for k in range(SAMPLED)]


def _same_file(one: Path, two: Path) -> bool:
    try:
        if one.stat().st_size != two.stat().st_size:
            return False
        return file_sha256(one) == file_sha256(two)
    except (OSError, MissingError):
        return False
