"""Whether a stored run still is what it says: digests, tables, saved frames and their scores, all computed anew.

Nothing of the run is changed. What cannot be checked here (weights that are gone, no ground truth) is said, and is no
difference. Scores recomputed from saved frames must agree to 1e-6, those of networks (lpips, dists) to 1e-4, since
these are computed in float32 whose last digits depend on the device.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from deblurbench.checks.finding import Check, _same
from deblurbench.checks.rescore import _clip, _Rescoring, dataset_clips
from deblurbench.datasets.base import FrameSource
from deblurbench.errors import CardError, DamagedError, FrameError, MissingError, UsageError
from deblurbench.evaluation.restore import hashed
from deblurbench.methods.weights.files import file_and_tag
from deblurbench.metrics import fits
from deblurbench.provenance import file_sha256
from deblurbench.registry.by_path import find_method, split_method
from deblurbench.registry.cards import IDENTITY, DatasetCard, MethodCard
from deblurbench.registry.discovery import Plugin, plugin
from deblurbench.results import digests
from deblurbench.results.manifest import Manifest, MethodRecord, Outcome
from deblurbench.results.run import Run
from deblurbench.results.store import Part, Store
from deblurbench.text import counted, some

EDITED = "edited files"


@dataclass
class Audit:
    """All checks of a run; `differences` are those that found one."""

    run: Run
    checks: list[Check] = field(default_factory=list)

    @property
    def differences(self) -> list[Check]:
        """What is not as recorded."""
        return [check for check in self.checks if check.state == "DIFFERS"]


def audit(run: Run, every: bool = False) -> Audit:
    """Check a run; saved frames are sampled (24 of them, spread over methods and clips), or `every` one is scored."""
    parts, faults = read_parts(run)
    found = Audit(run, [*_check_digests(run), *faults])
    found.checks += [check for method in run.manifest.methods for check in _check_method(run.manifest, method)]
    found.checks += _check_protocol(run.manifest)
    found.checks += _check_data(run.manifest, parts, every)
    found.checks += _check_tables(run, parts.values())
    found.checks += _check_whole(run.manifest, parts)
    found.checks += _Rescoring(run, parts, every).checks()
    return found


def _check_digests(run: Run) -> Iterator[Check]:
    """run.json and the tables against the digests beside the parts."""
    known = digests.read(run.folder)
    if run.edited:
        detail = f"{', '.join(run.edited)}: changed since the run wrote it; not the sha256 in {digests.PLACE}"
        yield Check(EDITED, "DIFFERS", detail)
    elif known:
        yield Check(EDITED, "ok", f"{', '.join(known)} are as the run wrote them")
    else:
        yield Check(EDITED, "not checked", "the run is older than the digests of its files")


def read_parts(run: Run) -> tuple[dict[tuple[str, str], Part], list[Check]]:
    """The parts of the clips that ended well, by method and clip, and what is wrong with parts/."""
    parts, faults = {}, []
    clips = {clip.name for clip in run.manifest.clips}
    for outcome in run.manifest.outcomes:
        file = run.store.part_file(outcome.method, outcome.clip)
        what = f"part {outcome.method}/{outcome.clip}"
        if outcome.clip not in clips:
            faults.append(Check(what, "DIFFERS", "run.json has an outcome of this clip, but not the clip"))
            continue
        if outcome.status != "ok":
            continue
        try:
            part = run.store.look_at_part(outcome.method, outcome.clip)
        except (OSError, DamagedError) as error:
            faults.append(Check(what, "DIFFERS", str(error)))
            continue
        if part is None:
            faults.append(Check(what, "DIFFERS", f"{file}: missing"))
            continue
        parts[outcome.method, outcome.clip] = part
        if part.outcome != outcome:
            faults.append(Check(what, "DIFFERS", f"its outcome is not run.json's: {_unlike(part.outcome, outcome)}"))
    return parts, faults or [Check("parts", "ok", f"{len(parts)} records, checksums fit, outcomes as in run.json")]


def _unlike(one: Outcome, two: Outcome) -> str:
    return ", ".join(name for name in Outcome.model_fields if getattr(one, name) != getattr(two, name))


def _check_method(manifest: Manifest, method: MethodRecord) -> Iterator[Check]:
    """Weights, card and code of a method now, against the digests in run.json."""
    try:
        found = find_method(method.source or method.name)
    except (UsageError, CardError, MissingError) as error:
        told = "frames of somebody else" if method.kind == "files" else str(error).splitlines()[0]
        yield Check(f"{method.id}: weights, card, code", "not checked", told)
        return
    if not method.card_sha256 or method.kind == "files":
        yield Check(f"{method.id}: weights, card, code", "not checked", "run.json has no digests of them")
        return
    yield _same(f"{method.id}: card", method.card_sha256, found.card_digest())
    if manifest.results_version is None:
        yield Check(f"{method.id}: code", "not checked", "run.json has the digest of its bytes, comments included")
    else:
        yield _same(f"{method.id}: code", method.code_sha256, found.code_digest())
    if method.weights_sha256:
        file = _weights_file(manifest, method, found)
        what = f"{method.id}: weights {method.weights}"
        if file is None or not file.is_file():
            yield Check(what, "not checked", f"the file is not here ({file or 'its tag is in no card any more'})")
        else:
            yield _same(what, method.weights_sha256, file_sha256(file))


def _weights_file(manifest: Manifest, method: MethodRecord, found: Plugin) -> Path | None:
    """The file that a method's weights came from: the request's path, or what the card has under the tag.

    A path may lead to a tag that the card has, too. Of the two, the path is meant where the method's id names the tag:
    an id without one is that of the card's usual weights.
    """
    card = found.card
    assert isinstance(card, MethodCard)
    if found.opened:
        return found.opened
    tagged = [found.folder / w.file for w in card.weights if (w.tag, w.variant) == (method.weights, method.variant)]
    named = list(_named_files(manifest, method, {w.tag for w in card.weights}))
    files = [*named, *tagged] if method.id.endswith(f"@{method.weights}") else [*tagged, *named]
    return next(iter(files), None)


def _named_files(manifest: Manifest, method: MethodRecord, tags: set[str]) -> Iterator[Path]:
    """The weight files that the request names by a path for a method, under the tag that the run gave them."""
    for text in manifest.request.methods:
        name, variant, wanted = split_method(text)
        if not wanted or wanted in tags:
            continue
        if name in (method.name, method.source) and variant in (None, method.variant):
            place = Path(wanted).expanduser()
            file, tag = file_and_tag(place)
            if method.weights == tag or (method.weights == place.name and not place.exists()):
                yield file


def _check_protocol(manifest: Manifest) -> Iterator[Check]:
    """The protocol in run.json against its digest, and against the card's of the same name and version."""
    yield _same("protocol in run.json", manifest.protocol_digest, manifest.protocol.digest())
    name, _, rest = manifest.protocol.name.partition(":")
    what = f"protocol {manifest.protocol.name} of the card"
    try:
        found = plugin("datasets", name)
        assert isinstance(found.card, DatasetCard)
        now = found.card.protocol(rest or None)
    except (UsageError, CardError) as error:
        yield Check(what, "not checked", str(error).splitlines()[0])
        return
    yield _same(what, manifest.protocol_digest, now.digest())
    if manifest.dataset_card_sha256:
        yield _same(f"card of {name}", manifest.dataset_card_sha256, file_sha256(found.folder / "card.yaml"))


def _check_data(manifest: Manifest, parts: dict[tuple[str, str], Part], every: bool) -> Iterator[Check]:
    """The dataset's frames now against those that were restored and scored: of the first clip, or of `every` one.

    What `identity` restored are the blurry frames themselves. A flipped bit in a JPEG shows here and nowhere else.
    """
    digests = {
        clip.name: (parts[IDENTITY, clip.name].outcome.frames_sha256, clip.ground_truth_sha256)
        for clip in manifest.clips
        if (IDENTITY, clip.name) in parts
    }
    if not any(any(pair) for pair in digests.values()):
        yield Check("dataset's frames", "not checked", "run.json has no digests of them")
        return
    yield from _check_truths(manifest, parts)
    there = dataset_clips(manifest)
    for record in [clip for clip in manifest.clips if clip.name in digests][: None if every else 1]:
        clip, count, (blurry, truth) = there.get(record.name), len(record.frames), digests[record.name]
        yield _check_source(f"blurry frames of {record.name}", blurry, clip.blurry if clip else None, count)
        if record.ground_truth:
            yield _check_source(f"ground truth of {record.name}", truth, clip.sharp if clip else None, count)


def _check_truths(manifest: Manifest, parts: dict[tuple[str, str], Part]) -> Iterator[Check]:
    """run.json's digest of each clip's ground truth, against the one in the part of `identity`; reads no frame."""
    pairs = {
        clip.name: (clip.ground_truth_sha256, parts[IDENTITY, clip.name].outcome.ground_truth_sha256)
        for clip in manifest.clips
        if (IDENTITY, clip.name) in parts
    }
    faults = [name for name, (here, there) in pairs.items() if there and here != there]
    if any(there for _, there in pairs.values()):
        detail = f"not those in parts/: {some(faults)}" if faults else f"{counted(len(pairs), 'clip')}, as in parts/"
        yield Check("digests of the ground truth", "DIFFERS" if faults else "ok", detail)


def _check_source(what: str, recorded: str, source: FrameSource | None, count: int) -> Check:
    """sha256 over the decoded pixels of a source's first `count` frames, against the recorded one."""
    if not recorded:
        return Check(what, "not checked", "run.json has no digest of it")
    if source is None:
        return Check(what, "not checked", "its clip is not under the data root")
    digest = hashlib.sha256()
    try:
        for _ in hashed(source.first(count), digest):
            pass
    except FrameError as error:
        return Check(what, "DIFFERS", str(error))
    return _same(what, recorded, digest.hexdigest())


def _check_tables(run: Run, parts: Iterable[Part]) -> Iterator[Check]:
    """scores.csv and timings.csv, written anew from the parts, against the files, byte for byte."""
    with tempfile.TemporaryDirectory() as place:
        fresh = Store(Path(place))
        fresh.write_tables(run.manifest, parts)
        for name in ("scores.csv", "timings.csv"):
            wanted = (fresh.folder / name).read_bytes()
            file = run.folder / name
            there = file.read_bytes() if file.is_file() else b""
            if there == wanted:
                rows = len(wanted.splitlines()) - 1
                yield Check(name, "ok", f"{rows} rows, byte for byte what the parts say")
            else:
                yield Check(name, "DIFFERS", _first_difference(there.decode(errors="replace"), wanted.decode()))


def _first_difference(there: str, wanted: str) -> str:
    pairs = zip_longest(there.splitlines(), wanted.splitlines())
    for number, (found, expected) in enumerate(pairs, start=1):
        if found != expected:
            return f"line {number} is {found!r}, the parts say {expected!r}"
    return "the line ends differ"


def _check_whole(manifest: Manifest, parts: dict[tuple[str, str], Part]) -> Iterator[Check]:
    """Every scored frame has a value of every frame-level metric."""
    metrics = [m.id for m in manifest.metrics if m.level == "frame" and not m.absent]
    faults = []
    for (method, clip), part in parts.items():
        there = {(frame, metric) for frame, metric, _ in part.scores}
        record = _clip(manifest, clip)
        fitting = [name for name in metrics if fits(name, record.width, record.height)]
        wanted = {(frame, name) for frame in record.scored for name in fitting} if record.ground_truth else set()
        if wanted - there:
            faults.append(f"{method}/{clip} lacks {len(wanted - there)} of {len(wanted)} values")
    yield Check("every scored frame", "DIFFERS" if faults else "ok", "; ".join(faults) or "has every metric")
