"""From what the user asked to what will be run: datasets, clips, methods, metrics, all resolved before work begins.

Nothing here imports torch or a method's code. Whatever is wrong with the request itself is said now, at once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deblurbench import provenance
from deblurbench.cards import DatasetCard, MethodCard
from deblurbench.datasets.base import Clip, Dataset
from deblurbench.errors import MissingError, UsageError, did_you_mean
from deblurbench.imagefiles import natural_key
from deblurbench.manifest import ClipRecord, MethodRecord, MetricRecord, Request
from deblurbench.metrics import METRICS, metric
from deblurbench.protocol import Protocol
from deblurbench.rooms import Plugin, plugin, plugins
from deblurbench.store import folder_name
from deblurbench.weights import WeightsFile, file_sha256, find_weights

IDENTITY = "identity"


@dataclass(frozen=True)
class PlannedMethod:
    """A method, its variant and its weights, found and checked."""

    id: str
    plugin: Plugin
    variant: str
    weights: WeightsFile | None
    random: bool = False

    @property
    def card(self) -> MethodCard:
        """The method's card."""
        assert isinstance(self.plugin.card, MethodCard)
        return self.plugin.card

    def record(self) -> MethodRecord:
        """The method as run.json names it."""
        card, weights = self.card, self.weights
        return MethodRecord(
            id=self.id,
            name=card.name,
            variant=self.variant,
            title=card.title,
            kind=card.kind,
            weights=weights.tag if weights else None,
            weights_sha256=weights.sha256 if weights else None,
            random_weights=self.random,
            trained_on=list(weights.trained_on) if weights else [],
            of_the_paper=card.variants[self.variant].of_the_paper,
            parameters=card.variants[self.variant].parameter_count,
            code_sha256=provenance.folder_digest(self.plugin.folder),
            card_sha256=file_sha256(self.plugin.folder / "card.yaml"),
            note=weights.note if weights else "",
        )


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
        sharp = self.clip.sharp.fingerprint() if self.clip.sharp else None
        body = json.dumps([self.clip.blurry.fingerprint(), sharp])
        return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True)
class Plan:
    """All that a run needs to know."""

    request: Request
    dataset: Dataset
    protocol: Protocol
    split: str
    layout: str
    root: str
    clips: tuple[PlannedClip, ...]
    methods: tuple[PlannedMethod, ...]
    metrics: tuple[MetricRecord, ...]
    coverage: str
    partial: bool
    notes: tuple[str, ...] = field(default=())

    def key(self, method: PlannedMethod, clip: PlannedClip) -> dict[str, Any]:
        """Everything that decides the scores of a method on a clip. A part with another key is stale."""
        record = method.record()
        return {
            "method": method.id,
            "parameters": method.card.variants[method.variant].parameters,
            "weights": record.weights_sha256,
            "random weights": method.random,
            "code": record.code_sha256,
            "needs": method.card.needs.model_dump(),
            "harness": provenance.harness_digest(),
            "protocol": self.protocol.digest(),
            "clip": clip.clip.name,
            "frames": list(clip.clip.stems),
            "data": clip.fingerprint(),
            "metrics": {m.id: m.version for m in self.metrics},
            "precision": self.request.precision,
            "tile": self.request.tile,
            "device": self.request.device,
            "seed": self.request.seed,
            "saved frames": self.request.save_frames,
        }


def split_method(text: str) -> tuple[str, str | None, str | None]:
    """`name[:variant][@weights]` into its three parts."""
    head, at, weights = text.partition("@")
    name, colon, variant = head.partition(":")
    if not name or (colon and not variant) or (at and not weights):
        raise UsageError(f"{text!r} is no method. Write name, name:variant or name:variant@weights.")
    return name, variant or None, weights or None


def plan_method(text: str, random_weights: bool = False) -> PlannedMethod:
    """Find a method, its variant and its weights.

    Raises:
        UsageError: unknown method, variant or weights; the nearest name is given.
        MissingError: there are no weights for it.
    """
    name, variant, wanted = split_method(text)
    found = plugin("methods", name)
    card = found.card
    assert isinstance(card, MethodCard)
    variant = variant or _variant_of(wanted, card)
    if variant not in card.variants:
        raise UsageError(f"method {name!r} has no variant {variant!r}. {did_you_mean(variant, card.variants)}")
    identifier = name if len(card.variants) == 1 else f"{name}:{variant}"
    try:
        weights = find_weights(found, variant, wanted)
    except MissingError:
        if not random_weights:
            raise
        return PlannedMethod(identifier, found, variant, None, random=True)
    usual = find_weights(found, variant, None) if wanted and _has_default(card, variant) else weights
    if wanted and weights and (usual is None or usual.sha256 != weights.sha256):
        identifier += f"@{weights.tag}"
    return PlannedMethod(identifier, found, variant, weights)


def _has_default(card: MethodCard, variant: str) -> bool:
    return any(w.variant == variant for w in card.weights)


def _variant_of(wanted: str | None, card: MethodCard) -> str:
    """The variant that a bare name means: that of the training folder or tag asked for, else the card's default."""
    if wanted:
        story = Path(wanted).expanduser() / "training.json"
        if story.is_file():
            return str(json.loads(story.read_text(encoding="utf-8")).get("variant", card.default_variant))
        for weights in card.weights:
            if weights.tag == wanted:
                return weights.variant
    return card.default_variant


def plan_methods(texts: Sequence[str], random_weights: bool) -> tuple[PlannedMethod, ...]:
    """All methods of a request, `identity` first, each once. `all` means every one that has weights or needs none."""
    planned = [plan_method(IDENTITY)]
    for text in texts:
        if text == "all":
            planned += [plan_method(name) for name in _runnable()]
        else:
            planned.append(plan_method(text, random_weights))
    unique = {method.id: method for method in planned}
    folders: dict[str, str] = {}
    for identifier in unique:
        other = folders.setdefault(folder_name(identifier), identifier)
        if other != identifier:
            raise UsageError(f"methods {other!r} and {identifier!r} would share a folder; run them apart")
    return tuple(unique.values())


def _runnable() -> list[str]:
    names = []
    for name, found in plugins("methods").items():
        card = found.card
        if isinstance(card, MethodCard) and (card.weights or not card.needs_weights):
            names.append(name)
    return names


def open_dataset(text: str, root: str | None) -> tuple[Dataset, Protocol]:
    """The dataset and protocol of `name[:protocol]`; the protocol may stand in the card as `name:a` only.

    Raises:
        UsageError: unknown dataset or protocol; the nearest name is given.
        MissingError: the data root was not named or is not there.
    """
    name, _, protocol_name = text.partition(":")
    found = plugin("datasets", name)
    card = found.card
    assert isinstance(card, DatasetCard)
    protocol = card.protocol(protocol_name or None)
    place = _root(card, root)
    dataset = found.load()(card, place, **card.parameters)
    return dataset, protocol


def _root(card: DatasetCard, root: str | None) -> Path | None:
    text = root or (os.environ.get("DEBLURBENCH_DATA") if card.needs_root else None)
    if text is None and not card.needs_root:
        return None
    place = Path(text).expanduser() if text else None
    if place and place.exists():
        return place.resolve()
    if place is None:
        fault = "no data root. Give --data-root DIR or set DEBLURBENCH_DATA."
    else:
        fault = f"{place} does not exist (from {'--data-root' if root else 'DEBLURBENCH_DATA'})."
    raise MissingError(
        f"dataset {card.name!r}: {fault}\n{card.obtain.strip()}\nExpected layout:\n{card.layout.rstrip()}\n"
        "Without the data: --dataset mini needs nothing."
    )


def plan_metrics(names: Sequence[str] | None, protocol: Protocol) -> tuple[MetricRecord, ...]:
    """The metrics of a request, or the default ones, in the registry's order.

    Under a protocol that aligns before it scores, the default PSNR and SSIM are the aligned ones, and the plain ones
    are refused.

    Raises:
        UsageError: unknown metric (the nearest name is given), or one that does not fit the protocol.
    """
    chosen = [metric(name).id for name in names] if names else [m.id for m in METRICS.values() if m.default]
    if protocol.alignment != "none":
        aligned = {"psnr": f"psnr-{protocol.alignment}", "ssim": f"ssim-{protocol.alignment}"}
        for name in sorted(set(names or ()) & set(aligned)):
            raise UsageError(
                f"protocol {protocol.name!r} scores after alignment: ask for {aligned[name]!r}, not {name!r}"
            )
        chosen = [metric(aligned.get(name, name)).id for name in chosen]
    return tuple(
        MetricRecord(
            id=m.id, version=m.version, unit=m.unit, higher_is_better=m.higher_is_better, level=m.level,
            decimals=m.decimals, title=m.title,
        )
        for m in METRICS.values()
        if m.id in chosen
    )  # fmt: skip


def make_plan(request: Request) -> Plan:
    """Resolve a request completely.

    Raises:
        UsageError, MissingError, CardError: the request cannot be run; nothing was computed.
    """
    methods = plan_methods(request.methods, request.random_weights)
    dataset, protocol = open_dataset(request.dataset, request.data_root)
    metrics = plan_metrics(request.metrics, protocol)
    split = request.split or protocol.split
    found = dataset.find(protocol)
    chosen = _choose(dataset.clips(protocol, split), request, protocol, split)
    clips = tuple(_plan_clip(clip, protocol, request.frames_per_clip) for clip in chosen)
    coverage, partial = _coverage(dataset.card, protocol, split, clips)
    _refuse_silent_partial(dataset, request, protocol, split, clips)
    notes = (*found.notes, *_overlap(methods, dataset.card.name))
    return Plan(
        request, dataset, protocol, split, found.layout, str(found.root), clips, methods, metrics, coverage,
        partial or split != protocol.split, notes,
    )  # fmt: skip


def _choose(clips: list[Clip], request: Request, protocol: Protocol, split: str) -> list[Clip]:
    if protocol.clips and not request.clips and split == protocol.split:
        clips = [clip for clip in clips if clip.name in protocol.clips]
    if request.clips:
        by_name = {clip.name: clip for clip in clips}
        for name in request.clips:
            if name not in by_name:
                raise UsageError(f"no clip {name!r} in split {split!r}. {did_you_mean(name, by_name)}")
        clips = [by_name[name] for name in dict.fromkeys(request.clips)]
    folders: dict[str, str] = {}
    for clip in clips:
        if folders.setdefault(folder_name(clip.name), clip.name) != clip.name:
            raise UsageError(f"clips {folders[folder_name(clip.name)]!r} and {clip.name!r} would share a folder")
    clips.sort(key=lambda clip: natural_key(clip.name))
    return clips[: request.limit]


def first_frames(clip: Clip, frames: int | None) -> Clip:
    """A clip cut to its first `frames` frames (all for None)."""
    if frames is None:
        return clip
    return replace(clip, blurry=_first(clip.blurry, frames), sharp=_first(clip.sharp, frames))


def _plan_clip(clip: Clip, protocol: Protocol, frames: int | None) -> PlannedClip:
    from deblurbench.datasets.verify import check_clip, clip_size

    problems = list(clip.problems)
    clip = first_frames(clip, frames)
    problems += [p for p in check_clip(clip) if p not in problems]
    stems = list(clip.stems)
    scored = [stems[position] for position in protocol.scored(len(stems))] if clip.sharp else []
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


def _coverage(card: DatasetCard, protocol: Protocol, split: str, clips: tuple[PlannedClip, ...]) -> tuple[str, bool]:
    expected = protocol.clips if protocol.clips and split == protocol.split else card.splits.get(split, ())
    total = max(len(expected), len(clips)) if expected else len(clips)
    frames = sum(len(clip.clip) for clip in clips)
    released = sum(max(clip.clip.released or len(clip.clip), len(clip.clip)) for clip in clips)
    scored = sum(len(clip.scored) for clip in clips)
    text = f"{len(clips)} of {total} clips, {frames} of {released} frames, {scored} scored"
    return text, len(clips) < total or frames < released


def _refuse_silent_partial(
    dataset: Dataset, request: Request, protocol: Protocol, split: str, clips: tuple[PlannedClip, ...]
) -> None:
    """A copy that lacks clips or frames runs only when the user says that this is meant."""
    if request.partial or request.clips:
        return
    there = {clip.clip.name for clip in clips}
    expected = protocol.clips or tuple(e.name for e in dataset.card.splits.get(split, ()))
    missing = [name for name in expected if name not in there] if request.limit is None else []
    short = [
        f"{c.clip.name} ({len(c.clip)} of {c.clip.released})"
        for c in clips
        if request.frames_per_clip is None and c.clip.released and len(c.clip) < c.clip.released
    ]
    if not missing and not short:
        return
    faults = []
    if missing:
        faults.append(f"missing clips: {', '.join(missing[:6])}{' ...' if len(missing) > 6 else ''}")
    if short:
        faults.append(f"clips with missing frames: {', '.join(short[:6])}{' ...' if len(short) > 6 else ''}")
    raise MissingError(
        f"{dataset.card.name}: this copy is incomplete ({'; '.join(faults)}). A table of it is not the benchmark's: "
        "run it with --partial or name clips with --clips, and every table will say so."
    )


def _overlap(methods: tuple[PlannedMethod, ...], dataset: str) -> list[str]:
    return [
        f"{m.id} was trained on frames of {dataset!r}"
        for m in methods
        if m.weights and any(t.split("/")[0] == dataset for t in m.weights.trained_on)
    ]
