"""Whether a stored run still is what it says: digests, tables, saved frames and their scores, all computed anew.

Nothing of the run is changed. What cannot be checked here (weights that are gone, no ground truth) is said, and is no
difference. Scores recomputed from saved frames must agree to 1e-6, those of networks (lpips, dists) to 1e-4, since
these are computed in float32 whose last digits depend on the device.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from deblurbench.cards import IDENTITY, DatasetCard, MethodCard
from deblurbench.datasets.base import Clip, FrameSource, ImageFiles
from deblurbench.errors import CardError, DamagedError, DeblurbenchError, FrameError, MissingError, UsageError
from deblurbench.frames import Frame8
from deblurbench.imagefiles import read_frame
from deblurbench.manifest import ClipRecord, Manifest, MethodRecord, Outcome
from deblurbench.metrics import METRICS
from deblurbench.outside import find_method, split_method
from deblurbench.planning import open_dataset
from deblurbench.provenance import file_sha256
from deblurbench.restoring import hashed
from deblurbench.rooms import Plugin, plugin
from deblurbench.store import Part, Run, Store
from deblurbench.weights import file_and_tag

State = Literal["ok", "DIFFERS", "not checked"]
NO_TRUTH = "no ground truth: none was saved, and the data root is not here"
TOLERANCE, NETWORK_TOLERANCE = 1e-6, 1e-4
SAMPLE = 24


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    what: str
    state: State
    detail: str = ""


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
    found = Audit(run, faults)
    found.checks += [check for method in run.manifest.methods for check in _check_method(run.manifest, method)]
    found.checks += _check_protocol(run.manifest)
    found.checks += _check_data(run.manifest, parts, every)
    found.checks += _check_tables(run, parts.values())
    found.checks += _check_whole(run.manifest, parts)
    found.checks += _Rescoring(run, parts, every).checks()
    return found


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


def _same(what: str, recorded: str, now: str) -> Check:
    if recorded == now:
        return Check(what, "ok", now[:12])
    return Check(what, "DIFFERS", f"sha256 is {now[:12]} now, {recorded[:12]} in run.json")


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
    there = dataset_clips(manifest)
    for record in [clip for clip in manifest.clips if clip.name in digests][: None if every else 1]:
        clip, count, (blurry, truth) = there.get(record.name), len(record.frames), digests[record.name]
        yield _check_source(f"blurry frames of {record.name}", blurry, clip.blurry if clip else None, count)
        if record.ground_truth:
            yield _check_source(f"ground truth of {record.name}", truth, clip.sharp if clip else None, count)


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


def dataset_clips(manifest: Manifest) -> dict[str, Clip]:
    """The clips under the recorded data root by name; none where it is gone."""
    root = manifest.request.data_root  # None where DEBLURBENCH_DATA named it
    try:
        card = plugin("datasets", manifest.request.dataset.partition(":")[0]).card
        if root is None and isinstance(card, DatasetCard) and card.needs_root:
            root = manifest.data_root
        dataset, protocol = open_dataset(manifest.request.dataset, root)
        return {clip.name: clip for clip in dataset.clips(protocol, manifest.split)}
    except DeblurbenchError:
        return {}


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
        wanted = {(frame, metric) for frame in record.scored for metric in metrics} if record.ground_truth else set()
        if wanted - there:
            faults.append(f"{method}/{clip} lacks {len(wanted - there)} of {len(wanted)} values")
    yield Check("every scored frame", "DIFFERS" if faults else "ok", "; ".join(faults) or "has every metric")


def _clip(manifest: Manifest, name: str) -> ClipRecord:
    return next(clip for clip in manifest.clips if clip.name == name)


@dataclass
class _Rescoring:
    """Saved frames scored anew against the ground truth that was saved, or that the data root holds."""

    run: Run
    parts: dict[tuple[str, str], Part]
    every: bool

    def checks(self) -> Iterator[Check]:
        """One check a method, over its clips, and one for the digests of clips that are saved whole."""
        wanted = self._chosen()
        if not wanted:
            yield Check("saved frames", "not checked", "the run kept no scored frames (--save-frames none)")
            return
        _, _, absent = self.metrics
        for name, why in absent.items():
            yield Check(f"saved frames: {name}", "not checked", why.splitlines()[0])
        for method in self.run.manifest.methods:
            mine = [(clip, stem) for m, clip, stem in wanted if m == method.id]
            if mine:
                yield self._check_method(method.id, mine)
        yield from self._check_clip_level()
        yield from self._check_digests()

    @cached_property
    def metrics(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """The run's metrics that can be computed here."""
        from deblurbench.job import load_metrics

        return load_metrics([m.id for m in self.run.manifest.metrics if not m.absent], "cpu")

    @cached_property
    def dataset_clips(self) -> dict[str, Clip]:
        """The clips under the recorded data root; none where it is gone."""
        return dataset_clips(self.run.manifest)

    def _chosen(self) -> list[tuple[str, str, str]]:
        """(method, clip, frame) of the saved frames to score: all, or every n-th of them so that 24 are left."""
        saved = [
            (method, clip, stem)
            for (method, clip), part in self.parts.items()
            for stem in part.saved
            if stem in set(_clip(self.run.manifest, clip).scored)
        ]
        step = 1 if self.every else max(1, math.ceil(len(saved) / SAMPLE))
        return saved[::step]

    def _check_method(self, method: str, wanted: list[tuple[str, str]]) -> Check:
        what, faults, values, frames = f"saved frames of {method}", [], 0, 0
        for clip, stem in wanted:
            recorded = {m: v for frame, m, v in self.parts[method, clip].scores if frame == stem}
            try:
                frame, truth = self._restored(method, clip, stem), self._truth(clip, stem)
                if truth is None:
                    continue
                frames, values = frames + 1, values + len(recorded)
                faults += [f"{clip}/{stem}: {fault}" for fault in self._rescore(recorded, frame, truth)]
            except (FrameError, ValueError) as error:
                faults.append(str(error))
        if faults:
            return Check(
                what, "DIFFERS", "; ".join(faults[:5]) + (f" (and {len(faults) - 5} more)" * (len(faults) > 5))
            )
        if not frames:
            return Check(what, "not checked", NO_TRUTH)
        unknown = len(wanted) - frames
        without = f", {unknown} more have no ground truth here" if unknown else ""
        return Check(what, "ok", f"{values} values of {frames} frames recomputed{without}")

    def _rescore(self, recorded: dict[str, float], frame: Frame8, truth: Frame8) -> Iterator[str]:
        """What differs between a frame's recorded scores and those computed now."""
        for name, metric in self.metrics[0].items():
            tolerance = NETWORK_TOLERANCE if METRICS[name].uses_network else TOLERANCE
            yield from _difference(name, recorded.get(name), float(metric(frame, truth)), tolerance)

    def _check_clip_level(self) -> Iterator[Check]:
        """Metrics of whole clips, where every scored frame was saved and `every` one is asked for."""
        for (method, clip), part in self.parts.items() if self.metrics[1] else ():
            what, scored = f"metrics of whole clips, {method}/{clip}", _clip(self.run.manifest, clip).scored
            if not self.every or not set(scored) <= set(part.saved):
                yield Check(what, "not checked", "needs --all, and every scored frame saved")
                continue
            try:
                faults = list(self._rescore_clip(part, scored))
            except MissingError as error:
                yield Check(what, "not checked", str(error))
                continue
            except (FrameError, ValueError) as error:
                faults = [str(error)]
            yield Check(what, "DIFFERS" if faults else "ok", "; ".join(faults) or f"{len(self.metrics[1])} values")

    def _rescore_clip(self, part: Part, scored: list[str]) -> Iterator[str]:
        """What differs between a clip's recorded clip-level scores and those computed now.

        Raises:
            MissingError: a scored frame has no ground truth here.
        """
        recorded = {metric: value for frame, metric, value in part.scores if not frame}
        metrics = {name: factory() for name, factory in self.metrics[1].items()}
        for stem in scored:
            truth = self._truth(part.outcome.clip, stem)
            if truth is None:
                raise MissingError(NO_TRUTH)
            frame = self._restored(part.outcome.method, part.outcome.clip, stem)
            for metric in metrics.values():
                metric.add(frame, truth)
        for name, metric in metrics.items():
            yield from _difference(name, recorded.get(name), float(metric.result()), NETWORK_TOLERANCE)

    def _restored(self, method: str, clip: str, stem: str) -> Frame8:
        return read_frame(self.run.store.frames_folder(method, clip) / f"{stem}.png")

    def _truth(self, clip: str, stem: str) -> Frame8 | None:
        """The ground truth of a frame: the PNG that was saved, else from the dataset."""
        file = self.run.ground_truth_frames(clip).get(stem)
        if file:
            return read_frame(file)
        found = self.dataset_clips.get(clip)
        if found is None or found.sharp is None or stem not in found.stems:
            return None
        position = list(found.stems).index(stem)
        if isinstance(found.sharp, ImageFiles):
            return read_frame(found.sharp.paths[position])
        *_, frame = found.sharp.first(position + 1)
        return frame

    def _check_digests(self) -> Iterator[Check]:
        """The digest of all restored frames, where all of them were saved."""
        for (method, clip), part in self.parts.items():
            stems = _clip(self.run.manifest, clip).frames
            if not self.every or part.saved != stems or not part.outcome.frames_sha256:
                continue
            digest = hashlib.sha256()
            what = f"frames of {method}/{clip}"
            try:
                for stem in stems:
                    digest.update(self._restored(method, clip, stem).data)
            except FrameError as error:
                yield Check(what, "DIFFERS", str(error))
                continue
            yield _same(what, part.outcome.frames_sha256, digest.hexdigest())


def _difference(name: str, before: float | None, now: float, tolerance: float) -> Iterator[str]:
    """What to say where a value is not the recorded one; a value that both times there is none of agrees."""
    if before is None and math.isnan(now):
        return
    if before is None or not (before == now or abs(before - now) <= tolerance):
        yield f"{name} is {now!r} now, {before!r} in the run"
