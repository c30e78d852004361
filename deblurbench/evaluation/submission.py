"""Scores of frames that somebody else restored: a run like any other, in which a folder stands as a method.

The blurry input is restored and scored beside it as in every run. The folder's row has no runtime, its weights are
marked 'scored from files', and its frames' digest is over the scored frames (a run's own is over all restored ones).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deblurbench import provenance
from deblurbench.backends.device import describe_device, resolve_device
from deblurbench.backends.failures import describe_failure
from deblurbench.datasets.colours import SwapProbe
from deblurbench.errors import DiskError, UsageError
from deblurbench.evaluation import RESULTS_VERSION, runner
from deblurbench.evaluation.evaluator import SWAPPED
from deblurbench.evaluation.matching import Match, MatchedClip, match_folder
from deblurbench.evaluation.plan import Plan, make_plan, metric_weights
from deblurbench.evaluation.progress import Listener
from deblurbench.evaluation.record import joined
from deblurbench.evaluation.restore import PrefetchedFrames
from deblurbench.evaluation.runner import RunResult
from deblurbench.evaluation.saved_frames import FrameKeeper
from deblurbench.frames.convert import Frame8
from deblurbench.frames.images import write_png
from deblurbench.metrics import load_metrics, metric
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.lock import claim
from deblurbench.results.manifest import MIXED, Manifest, MethodRecord, Outcome, Request, is_mixed
from deblurbench.results.store import Part, Store, walk_parts

MARKER = "scored from files"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*(:[A-Za-z0-9._-]+)?"


@dataclass(frozen=True)
class Submission:
    """A folder of restored frames, matched, and the name under which it stands in tables."""

    name: str
    plan: Plan
    match: Match

    def record(self) -> MethodRecord:
        """The folder as run.json names it."""
        base, _, variant = self.name.partition(":")
        return MethodRecord(
            id=self.name, name=base, variant=variant or "files", title=f"Frames in {self.match.folder.name}",
            kind="files", weights=MARKER, note=f"{MARKER}: {self.match.folder}; restored elsewhere, training unknown",
        )  # fmt: skip


def safe_name(folder: Path) -> str:
    """A folder's or video's name as a method's: other characters become `-`."""
    place = folder.resolve()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", place.stem if place.is_file() else place.name).strip("-._")
    return plain or "frames"


def prepare(folder: Path, request: Request, name: str | None = None) -> Submission:
    """Resolve the dataset and match the folder's frames with it; nothing is decoded.

    Raises:
        UsageError, MissingError: an unusable name, a dataset that is not there, or frames that do not fit it.
    """
    name = name or safe_name(folder)
    if not re.fullmatch(NAME, name) or name == IDENTITY:
        raise UsageError(f"--name {name!r} cannot be a method's name: letters, digits, . _ -, not {IDENTITY!r}.")
    plan = make_plan(request)
    sound = [clip for clip in plan.clips if not clip.problems]
    if not any(clip.scored for clip in sound):
        raise UsageError(f"{plan.protocol.name}: no frame of the selection can be scored. {_why(plan)}")
    known = [clip.name for clip in plan.dataset.clips(plan.protocol, plan.split)]
    match = match_folder(folder, sound, known)
    asked = request.model_copy(update={"methods": [f"{name}={MARKER}: {folder.resolve()}"]})
    return Submission(name, replace(plan, request=asked), match)


def _why(plan: Plan) -> str:
    problems = [f"{clip.clip.name}: {problem}" for clip in plan.clips for problem in clip.problems]
    return "; ".join(problems[:3]) or "It has no ground truth."


def score(
    given: Submission, output: Path, *, command: str = "", fresh: bool = False, listener: Listener | None = None
) -> RunResult:
    """Score a matched folder into the run folder `output`; what was scored before and has not changed is kept.

    Raises:
        UsageError: the folder holds another request's run.
        DiskError: nothing can be written.
    """
    listener = listener or Listener()
    result = runner.run(given.plan, output, command=command, fresh=fresh, in_process=True, listener=listener)
    store = Store(output)
    with claim(output):
        manifest = result.manifest
        record = given.record()
        manifest.methods.append(record)
        manifest.warnings += [f"{given.name}: {note}" for note in given.match.notes]
        outcomes = _score_clips(given, store, manifest, listener)
        manifest.outcomes += outcomes
        if is_mixed(outcomes) and MIXED not in manifest.warnings:
            manifest.warnings.append(MIXED)
        caveats = (part.caveat for part in walk_parts(store, manifest) if part.outcome.method == given.name)
        record.caveat = joined(*caveats)
        store.write_manifest(manifest)
        store.write_tables(manifest, walk_parts(store, manifest))
    return RunResult(output, manifest, [o for o in manifest.outcomes if o.status == "failed"])


def _score_clips(given: Submission, store: Store, manifest: Manifest, listener: Listener) -> list[Outcome]:
    matched = {clip.planned.clip.name: clip for clip in given.match.clips}
    scorer: _Scorer | None = None
    outcomes = []
    for planned in given.plan.clips:
        name = planned.clip.name
        if planned.problems:
            reason = "; ".join(planned.problems)
            outcomes.append(Outcome(method=given.name, clip=name, status="failed", kind="corrupt input", reason=reason))
            continue
        key = _key(given, matched[name])
        part = store.read_part(given.name, name)
        if part is None or part.key != key or part.outcome.status != "ok" or _lacking(part, store, manifest):
            scorer = scorer or _Scorer(given, store, manifest)
            listener.clip(given.name, name, len(matched[name].stems))
            part = scorer.run(matched[name], key, lambda stem, clip=name: listener.frame(given.name, clip, stem))  # type: ignore[misc]
            store.write_part(part)
            listener.outcome(part.outcome)
        outcomes.append(part.outcome)
    return outcomes


def _lacking(part: Part, store: Store, manifest: Manifest) -> set[str]:
    """Metrics that a stored part has no values of, as those that could not be computed when it was made, and can now.

    What the blurry input has none of either has no value on this clip, as a clip-level metric of a single frame.
    """
    expected = {metric.id for metric in manifest.metrics if not metric.absent}
    blurry = store.read_part(IDENTITY, part.outcome.clip)
    if blurry and blurry.outcome.status == "ok":
        expected &= {name for _, name, _ in blurry.scores}
    return expected - {name for _, name, _ in part.scores}


def _key(given: Submission, matched: MatchedClip) -> dict[str, Any]:
    """What decides the scores of a folder's clip."""
    files = json.dumps([matched.source.fingerprint(), matched.stems])
    return {
        "method": given.name,
        "files": hashlib.sha256(files.encode()).hexdigest(),
        "results version": RESULTS_VERSION,
        "protocol": given.plan.protocol.digest(),
        "scored": list(matched.planned.scored),
        "data": matched.planned.fingerprint(),
        "metrics": {m.id: m.key for m in given.plan.metrics},
        "metric weights": metric_weights(given.plan.metrics),
        "saved frames": given.plan.request.save_frames,
    }


class _Scorer:
    """Metrics made ready, for clip after clip."""

    def __init__(self, given: Submission, store: Store, manifest: Manifest) -> None:
        self.given, self.store = given, store
        self.frame_keeper = FrameKeeper(given.plan, store)
        self.frame_keeper.choices = {clip.name: clip.choice for clip in manifest.clips if clip.choice}
        metrics = [metric.id for metric in manifest.metrics if not metric.absent]
        device = resolve_device(given.plan.request.device)
        self.environment = provenance.environment_digest(describe_device(device))
        self.frame_level, self.clip_level, _ = load_metrics(metrics, device)

    def run(self, matched: MatchedClip, key: dict[str, Any], on_frame: Callable[[str], None]) -> Part:
        """Score one clip; a damaged frame is the clip's failure, told with its cause."""
        outcome = Outcome(method=self.given.name, clip=matched.planned.clip.name, status="failed")
        part = Part(key, outcome)
        try:
            digest = self._score(matched, part, on_frame)
        except DiskError:
            raise
        except Exception as error:  # a file may be damaged in any way; the other clips go on
            return Part(key, outcome.model_copy(update=describe_failure(error)))
        done = {"status": "ok", "frames_sha256": digest, "environment": self.environment}
        part.outcome = outcome.model_copy(update=done)
        return part

    def _score(self, matched: MatchedClip, part: Part, on_frame: Callable[[str], None]) -> str:
        planned, digest = matched.planned, hashlib.sha256()
        saved = set(self.frame_keeper.to_save(planned)) & set(planned.scored)
        folder = self.store.frames_folder(self.given.name, planned.clip.name)
        fits = {name for name in (*self.frame_level, *self.clip_level) if metric(name).fits(planned.size)}
        frame_level = {name: score for name, score in self.frame_level.items() if name in fits}
        clip_level = {name: factory() for name, factory in self.clip_level.items() if name in fits}
        probe = SwapProbe()
        for stem, frame, truth in _pairs(matched):
            probe.add(frame, truth)
            part.scores += [(stem, name, float(score(frame, truth))) for name, score in frame_level.items()]
            for accumulated in clip_level.values():
                accumulated.add(frame, truth)
            digest.update(frame.data)
            if stem in saved:
                write_png(folder / f"{stem}.png", frame)
                part.saved.append(stem)
            on_frame(stem)
        part.caveat = SWAPPED if probe.found else ""
        values = {name: float(accumulated.result()) for name, accumulated in clip_level.items()}
        part.scores += [("", name, value) for name, value in values.items() if not math.isnan(value)]
        return digest.hexdigest()


def _pairs(matched: MatchedClip) -> Iterator[tuple[str, Frame8, Frame8]]:
    """Stem, restored and sharp frame of every scored frame, both decoded ahead in the background."""
    clip, scored = matched.planned.clip, set(matched.planned.scored)
    assert clip.sharp is not None
    restored = _only(matched.stems, PrefetchedFrames(matched.source), scored)
    sharp = _only(clip.stems, PrefetchedFrames(clip.sharp), scored)
    for (stem, frame), (_, truth) in zip(restored, sharp, strict=True):
        yield stem, frame, truth


def _only(stems: Sequence[str], frames: Iterator[Frame8], chosen: set[str]) -> Iterator[tuple[str, Frame8]]:
    return ((stem, frame) for stem, frame in zip(stems, frames, strict=True) if stem in chosen)
