"""From what the user asked to what will be run: datasets, clips, methods, metrics, all resolved before work begins.

Nothing here imports torch or a method's code. Whatever is wrong with the request itself is said now, at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from deblurbench import provenance
from deblurbench.backends.command import command_key, program
from deblurbench.backends.own_python import environment_of
from deblurbench.datasets.base import Clip, Dataset
from deblurbench.datasets.opening import open_dataset
from deblurbench.datasets.selection import (
    PlannedClip,
    choose_clips,
    coverage_of,
    plan_clip,
    refuse_silent_partial,
    refuse_undecodable,
    refuse_unscorable,
)
from deblurbench.datasets.sums import read_sums, unchecked_note
from deblurbench.errors import MissingError, UsageError
from deblurbench.evaluation import RESULTS_VERSION
from deblurbench.methods.weights.files import WeightsFile, find_weights, read_story
from deblurbench.metrics import METRICS, metric
from deblurbench.metrics.lpips_weights import ENVIRONMENT
from deblurbench.registry.by_path import find_method, split_method
from deblurbench.registry.cards import IDENTITY, MethodCard, Needs
from deblurbench.registry.discovery import Plugin, plugin, plugins
from deblurbench.registry.protocol import Protocol
from deblurbench.results.join import device_kind
from deblurbench.results.manifest import MethodRecord, MetricRecord, Request
from deblurbench.results.store import folder_name
from deblurbench.text import composed, counted, some


def any_network(metrics: Sequence[MetricRecord]) -> bool:
    """Whether one of the metrics runs a network, whose weights the user may name."""
    return any(METRICS[m.id].uses_network for m in metrics)


def metric_weights(metrics: Sequence[MetricRecord]) -> str:
    """Where the user said that the metrics' networks lie; empty where none of them runs one."""
    return os.environ.get(ENVIRONMENT, "") if any_network(metrics) else ""


@dataclass(frozen=True)
class PlannedMethod:
    """A method, its variant and its weights, found and checked; `lacks` says what is not installed, and how it is."""

    id: str
    plugin: Plugin
    variant: str
    weights: WeightsFile | None
    random: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    lacks: str = ""

    @property
    def card(self) -> MethodCard:
        """The method's card."""
        assert isinstance(self.plugin.card, MethodCard)
        return self.plugin.card

    @property
    def needs(self) -> Needs:
        """What the variant needs of its frames."""
        return self.card.needs_of(self.variant)

    def record(self) -> MethodRecord:
        """The method as run.json names it."""
        card, weights = self.card, self.weights
        return MethodRecord(
            id=self.id,
            name=card.name,
            variant=self.variant,
            title=card.title,
            kind=card.kind_of(self.variant),
            weights=weights.tag if weights else None,
            weights_sha256=weights.sha256 if weights else None,
            random_weights=self.random,
            trained_on=list(weights.trained_on) if weights else [],
            of_the_paper=card.variants[self.variant].of_the_paper,
            parameters=card.variants[self.variant].parameter_count,
            code_sha256=self.plugin.code_digest(),
            card_sha256=self.plugin.card_digest(),
            source=self.plugin.reference if self.plugin.reference != card.name else "",
            environment=dict(self.environment),
            includes_startup=bool(card.command),
            note=weights.note if weights else "",
        )


@dataclass(frozen=True)
class Plan:
    """All that a run needs to know. `clips` are those of its shard, `undivided` those of all shards."""

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
    undivided: tuple[PlannedClip, ...]
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def dataset_digest(self) -> str:
        """Digest of the code that opens the dataset, and of its parameters."""
        source = plugin("datasets", self.dataset.card.name)
        parameters = json.dumps(self.dataset.card.parameters, sort_keys=True, default=str)
        return provenance.text_digest(provenance.folder_digest(source.folder), parameters)

    def key(self, method: PlannedMethod, clip: PlannedClip) -> dict[str, Any]:
        """Everything that decides the scores of a method on a clip. A part with another key is stale."""
        record = method.record()
        return {
            "method": method.id,
            "parameters": method.card.variants[method.variant].parameters,
            "weights": record.weights_sha256,
            "random weights": method.random,
            "code": record.code_sha256,
            "needs": method.needs.model_dump(mode="json"),
            "command": command_key(method.plugin),
            "environment": {name: version for name, version in record.environment.items() if name != "executable"},
            "results version": RESULTS_VERSION,
            "protocol": self.protocol.digest(),
            "dataset": self.dataset_digest,
            "clip": clip.clip.name,
            "frames": list(clip.clip.stems),
            "data": clip.fingerprint(),
            "metrics": {m.id: m.key for m in self.metrics},
            "metric weights": metric_weights(self.metrics),
            "precision": self.request.precision,
            "tile": self.request.tile,
            "device": device_kind(self.request.device),
            "seed": self.request.seed,
            "saved frames": self.request.save_frames,
        }


def plan_method(text: str, random_weights: bool = False, beside_others: bool = False) -> PlannedMethod:
    """Find a method, its variant and its weights.

    `beside_others`: packages, a Python of its own or a command that are not there cost this method its row when it is
    made ready, and no other one; `lacks` of what is found says so.

    Raises:
        UsageError: unknown method, variant or weights; the nearest name is given.
        MissingError: there are no weights for it, or its packages, its own Python environment or command are not there.
    """
    reference, variant, tag = split_method(text)
    source = find_method(reference)
    environment, lacks = _installed(source, beside_others)
    card, name = source.card, source.name
    assert isinstance(card, MethodCard)
    variant = card.known_variant(variant or _variant_of(tag, card))
    identifier = name if len(card.variants) == 1 else f"{name}:{variant}"
    try:
        weights = find_weights(source, variant, tag)
    except MissingError:
        if not random_weights:
            raise
        return PlannedMethod(identifier, source, variant, None, True, environment, lacks)
    usual = find_weights(source, variant, None) if tag and _has_default(card, variant) else None
    if tag and weights and (usual is None or usual.sha256 != weights.sha256):
        identifier += f"@{weights.tag}"
    return PlannedMethod(identifier, source, variant, weights, environment=environment, lacks=lacks)


def _installed(method: Plugin, beside_others: bool) -> tuple[dict[str, str], str]:
    """A method's own Python, empty for ours; and with `beside_others` what it needs and is not there, empty for none.

    Raises:
        MissingError: something is not there that it needs, and no others are to be run.
    """
    environment: dict[str, str] = {}
    try:
        environment = environment_of(method)
        if not environment:
            method.refuse_missing_packages()
        if isinstance(method.card, MethodCard) and method.card.command:
            program(method, environment)
    except MissingError as error:
        if not beside_others:
            raise
        return environment, str(error)
    return environment, ""


def _has_default(card: MethodCard, variant: str) -> bool:
    return any(w.variant == variant for w in card.weights)


def _variant_of(tag: str | None, card: MethodCard) -> str:
    """The variant that a bare name means: that of the training folder or tag asked for, else the card's default."""
    for weights in card.weights:
        if weights.tag == tag:
            return weights.variant
    record = read_story(Path(tag).expanduser()) if tag else {}
    return str(record.get("variant", card.default_variant))


def plan_methods(texts: Sequence[str], random_weights: bool) -> tuple[PlannedMethod, ...]:
    """All methods of a request, `identity` first, each once. `all` means every one that has weights or needs none."""
    planned = [plan_method(IDENTITY)]
    several = len({*texts} - {IDENTITY}) > 1
    for text in texts:
        if text == "all":
            planned += _everyone()[0]
        else:
            planned.append(plan_method(text, random_weights, beside_others=several))
    unique: dict[str, PlannedMethod] = {}
    for method in planned:
        same = unique.setdefault(method.id, method)
        if same.plugin.reference != method.plugin.reference:
            raise UsageError(
                f"two methods would both be called {method.id!r}: {same.plugin.reference} and "
                f"{method.plugin.reference}. Rename one of them, or give its card another `name`."
            )
        if same.weights != method.weights:
            raise UsageError(
                f"two weight files would both be called {method.id!r}: {same.weights and same.weights.file} and "
                f"{method.weights and method.weights.file}. Rename one of them, or run them apart."
            )
    folders: dict[str, str] = {}
    for identifier in unique:
        other = folders.setdefault(folder_name(identifier), identifier)
        if other != identifier:
            raise UsageError(f"methods {other!r} and {identifier!r} would share a folder; run them apart")
    return tuple(unique.values())


def _everyone() -> tuple[list[PlannedMethod], dict[str, str]]:
    """What `all` runs, each in its default variant or the first that has weights; why the others are left out."""
    planned, reasons = [], {}
    for name, method in plugins("methods").items():
        reason = _why_not(method)
        if reason or not isinstance(method.card, MethodCard):
            reasons[name] = reason
            continue
        card = method.card
        usual = not card.needs_weights or _has_default(card, card.default_variant)
        try:
            planned.append(plan_method(name if usual else f"{name}:{card.weights[0].variant}"))
        except (MissingError, UsageError) as error:  # its package, its program or its own Python is not there
            reasons[name] = str(error).splitlines()[0]
    return planned, reasons


def left_out(texts: Sequence[str]) -> dict[str, str]:
    """The methods that a request's `all` does not run, each with the reason; none where `all` was not asked for."""
    if "all" not in texts:
        return {}
    named = {split_method(text)[0] for text in texts}
    return {name: reason for name, reason in _everyone()[1].items() if name not in named}


def _why_not(method: Plugin) -> str:
    """Why a method cannot run under its bare name, as far as its card tells; empty where it can."""
    card = method.card
    if not isinstance(card, MethodCard):
        return f"broken: {(method.error or 'no card').splitlines()[0]}"
    if card.opens:
        return f"name a file ({', '.join(card.opens)}): {method.name}@FILE"
    if card.weights or not card.needs_weights:
        return ""
    named = f"{method.name}:{card.default_variant}" if len(card.variants) > 1 else method.name
    train = f"deblurbench train {named} --dataset mini --recipe quick --minutes 30 --output FOLDER"
    return f"train it first: {train}, then run {named}@FOLDER"


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
            decimals=m.decimals, title=m.title, code_sha256=m.code,
        )
        for m in METRICS.values()
        if m.id in chosen
    )  # fmt: skip


def _spelled(request: Request, clips: Sequence[Clip]) -> Request:
    """The request with its clips named as the dataset names them: in composed Unicode, where not otherwise there."""
    known = {clip.name for clip in clips}
    named = request.clips and [name if name in known else composed(name) for name in request.clips]
    return request.model_copy(update={"clips": named})


def fitting_metrics(
    metrics: Sequence[MetricRecord], clips: Sequence[PlannedClip]
) -> tuple[tuple[MetricRecord, ...], list[str]]:
    """The metrics, `absent` where the frames of every clip are too small for one; a note where those of some are."""
    sizes = {clip.clip.name: clip.size for clip in clips if clip.size}
    records, notes = [], []
    for record in metrics:
        small = [name for name, size in sizes.items() if not metric(record.id).fits(size)]
        if small:
            least, size = metric(record.id).min_size, sizes[small[0]]
            why = f"it needs frames of at least {least}x{least} pixels, these have {size[0]}x{size[1]}"
            if len(small) == len(sizes):
                record = record.model_copy(update={"absent": why})
            else:
                notes.append(f"{record.id} is left out on {counted(len(small), 'clip')} ({some(small)}): {why}")
        records.append(record)
    return tuple(records), notes


def _shard(clips: tuple[PlannedClip, ...], shard: str | None) -> tuple[PlannedClip, ...]:
    """The clips of shard `I/N`: every N-th one from the I-th on, all where there is none.

    Raises:
        UsageError: not of this form, or a shard without a clip.
    """
    if shard is None:
        return clips
    number, _, count = shard.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {shard!r}: write I/N with 1 <= I <= N, such as 1/4.")
    if int(count) > len(clips):
        raise UsageError(
            f"--shard {shard}: the request selects {counted(len(clips), 'clip')}, so that N is at most that."
        )
    return clips[int(number) - 1 :: int(count)]


def make_plan(request: Request) -> Plan:
    """Resolve a request completely.

    Raises:
        UsageError, MissingError, CardError: the request cannot be run; nothing was computed.
    """
    methods = plan_methods(request.methods, request.random_weights)
    dataset, protocol = open_dataset(request.dataset, request.data_root)
    metrics = plan_metrics(request.metrics, protocol)
    split = request.split or protocol.split
    location = dataset.find(protocol)
    refuse_undecodable([str(location.root)])
    available = dataset.clips(protocol, split)
    chosen = choose_clips(available, _spelled(request, available), protocol, split)
    refuse_unscorable(chosen, request, protocol)
    sums = read_sums(location.root)
    undivided = tuple(plan_clip(clip, protocol, request.frames_per_clip, sums) for clip in chosen)
    refuse_silent_partial(dataset.card, request, protocol, split, undivided)
    clips = _shard(undivided, request.shard)
    coverage, partial = coverage_of(dataset.card, protocol, split, available, clips)
    metrics, notes = fitting_metrics(metrics, undivided)
    notes += unchecked_note([clip.clip for clip in undivided], sums)
    return Plan(
        request, dataset, protocol, split, location.layout, str(location.root), clips, methods, metrics, coverage,
        partial or split != protocol.split, undivided, (*location.notes, *notes),
    )  # fmt: skip
