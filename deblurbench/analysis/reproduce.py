"""A paper's table beside ours: which protocol it belongs to, which variants can run, and what may be compared.

The numbers come from the method card's `paper` entries; a table is all entries of one source under one protocol. A
difference is given only under that protocol, on the whole of it; otherwise the paper's column stays, marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from deblurbench.analysis.statistics import MethodSummary, summarise
from deblurbench.errors import MissingError, UsageError
from deblurbench.methods.weights.files import find_weights
from deblurbench.metrics import METRICS
from deblurbench.registry.cards import IDENTITY, DatasetCard, MethodCard, Published
from deblurbench.registry.discovery import Plugin, plugin
from deblurbench.registry.protocol import Protocol
from deblurbench.results.run import Run

FPS = "fps"
OTHER_METHOD = "another method"
NO_WEIGHTS = "no weights yet"
OTHER_PROTOCOL = "other protocol, not comparable"
SEEN = "§"


@dataclass
class PaperTable:
    """The numbers of one source under one protocol: variant -> metric -> published."""

    source: str
    protocol: str
    rows: dict[str, dict[str, Published]] = field(default_factory=dict)

    @property
    def metrics(self) -> list[str]:
        """Metric ids (and `fps`) in the order of the card."""
        return list(dict.fromkeys(metric for row in self.rows.values() for metric in row))

    @property
    def title(self) -> str:
        """Source and protocol."""
        return f"{self.source} ({self.protocol})"


@dataclass(frozen=True)
class Beside:
    """One number: the paper's, ours, and their difference (ours minus the paper's) where they are comparable."""

    paper: float | None
    ours: float | None
    difference: float | None = None


@dataclass
class Reproduction:
    """A paper's table with our numbers. `mark` says why no difference is given, where none is."""

    table: PaperTable
    dataset: str
    mark: str
    metrics: list[str]
    rows: list[tuple[str, str, dict[str, Beside]]] = field(default_factory=list)  # name, weights or state, numbers
    notes: list[str] = field(default_factory=list)


def paper_tables(card: MethodCard) -> list[PaperTable]:
    """A card's published numbers by source and protocol, in its order.

    Raises:
        UsageError: the card has none.
    """
    tables: dict[tuple[str, str], PaperTable] = {}
    for entry in card.paper:
        table = tables.setdefault((entry.source, entry.protocol), PaperTable(entry.source, entry.protocol))
        table.rows.setdefault(entry.variant or card.default_variant, {}).setdefault(entry.metric, entry)
    if not tables:
        raise UsageError(f"the card of method {card.name!r} has no published numbers (`paper`): nothing to reproduce.")
    return list(tables.values())


def choose_table(card: MethodCard, number: int | None, dataset: str | None) -> PaperTable:
    """The table called `Table <number>`, or the first one; of several the one whose protocol is `dataset`.

    Raises:
        UsageError: no such table; those that there are are listed.
    """
    tables = paper_tables(card)
    fitting = [t for t in tables if number is None or re.search(rf"\btable {number}\b", t.source, re.IGNORECASE)]
    if not fitting:
        listed = "; ".join(t.title for t in tables)
        raise UsageError(f"method {card.name!r} has no published Table {number}. There are: {listed}.")
    return next((t for t in fitting if t.protocol == dataset), fitting[0])


def runnable(method: Plugin, table: PaperTable) -> tuple[list[str], dict[str, str]]:
    """Variants of a table that have weights, as method names, and for each other row why it cannot run."""
    card = method.card
    assert isinstance(card, MethodCard)
    ready, missing = [], {}
    for variant in table.rows:
        if variant not in card.variants:
            missing[variant] = OTHER_METHOD
            continue
        try:
            find_weights(method, variant, None)
            ready.append(f"{card.name}:{variant}")
        except MissingError:
            missing[variant] = NO_WEIGHTS
    return ready, missing


def protocol_of(table: PaperTable, dataset: str | None) -> Protocol:
    """The protocol that a table is reproduced under: the paper's, or that of `dataset`, NAME[:PROTOCOL].

    Raises:
        UsageError: no such dataset or protocol, or the paper does not tell which one it used.
    """
    name, _, rest = (dataset or table.protocol).partition(":")
    try:
        card = plugin("datasets", name).card
        assert isinstance(card, DatasetCard)
        return card.protocol(rest or None)
    except UsageError as error:
        if dataset:
            raise
        raise UsageError(
            f"{table.source} is measured on {table.protocol!r}, which is no protocol of ours. "
            "Name one with --dataset NAME[:PROTOCOL]; the paper's numbers then stand beside it, marked."
        ) from error


def metrics_of(table: PaperTable, protocol: Protocol) -> list[str]:
    """The metrics that a run needs for a table: its own that we have, and PSNR and SSIM as the protocol scores them."""
    aligned = f"-{protocol.alignment}" if protocol.alignment != "none" else ""
    own = [m for m in table.metrics if m in METRICS and not (aligned and m in ("psnr", "ssim"))]
    return list(dict.fromkeys([*own, f"psnr{aligned}", f"ssim{aligned}"]))


def beside(table: PaperTable, card: MethodCard, run: Run, missing: dict[str, str]) -> Reproduction:
    """Lay a stored run beside a paper's table."""
    manifest = run.manifest
    mark = "" if manifest.protocol.name == table.protocol else OTHER_PROTOCOL
    if not mark and manifest.partial:
        mark = f"partial run ({manifest.coverage}), not comparable"
    ours = {s.method.id: s for s in summarise(run)}
    reproduction = Reproduction(
        table,
        manifest.protocol.name,
        mark,
        list(dict.fromkeys([*table.metrics, *metrics_of(table, manifest.protocol)])),
    )
    rows = [(IDENTITY, IDENTITY, {}), *[(name, _identifier(card, name), p) for name, p in table.rows.items()]]
    for name, identifier, published in rows:
        summary = ours.get(identifier)
        numbers = {m: _beside(m, published.get(m), summary, mark) for m in reproduction.metrics}
        reproduction.rows.append((name + _seen(run, summary), missing.get(name) or _state(summary), numbers))
    reproduction.notes = list(_notes(reproduction, card, run, ours.values()))
    return reproduction


def _identifier(card: MethodCard, variant: str) -> str:
    return card.name if len(card.variants) == 1 else f"{card.name}:{variant}"


def _beside(metric: str, paper: Published | None, summary: MethodSummary | None, mark: str) -> Beside:
    ours = None
    if metric == FPS:
        times = summary.seconds if summary and summary.method.name != IDENTITY else None
        ours = 1 / times.median if times and times.median else None
        return Beside(paper.value if paper else None, ours)
    if summary and metric in summary.metrics:
        ours = summary.metrics[metric].mean
    both = paper is not None and ours is not None and not mark
    return Beside(paper.value if paper else None, ours, ours - paper.value if both and paper and ours else None)


def _state(summary: MethodSummary | None) -> str:
    if summary is None:
        return "not run"
    if summary.state != "ok":
        return f"{summary.state}: {summary.reason}"
    return summary.method.weights or ""


def _seen(run: Run, summary: MethodSummary | None) -> str:
    return f" {SEEN}" if summary and run.manifest.seen_in_training(summary.method) else ""


def _notes(result: Reproduction, card: MethodCard, run: Run, ours: Iterable[MethodSummary]) -> Iterable[str]:
    manifest = run.manifest
    protocol = f"{manifest.protocol.name} v{manifest.protocol.version}"
    yield f"Ours: protocol {protocol}, {manifest.coverage}; {manifest.device}."
    if result.mark:
        yield f"The paper's numbers are of {result.table.protocol}; ours of {result.dataset}: {result.mark}."
    if FPS in result.metrics:
        yield "fps: the paper's hardware and clock are not ours; no difference is given."
    for note in dict.fromkeys(p.note for row in result.table.rows.values() for p in row.values() if p.note):
        yield f"paper: {note}"
    if result.table.protocol in card.status:
        status = card.status[result.table.protocol]
        yield f"status under {result.table.protocol}: {status.state}. {' '.join(status.note.split())}"
    for summary in [s for s in ours if s.method.trained_on]:
        origin = f"{summary.method.weights}, trained on {', '.join(summary.method.trained_on)}"
        yield f"{summary.method.id}: our weights ({origin}), not the paper's"
    if any(SEEN in name for name, _, _ in result.rows):
        yield f"{SEEN} trained on frames of this dataset"


def as_dict(result: Reproduction) -> dict[str, Any]:
    """Plain values, for JSON."""
    rows = [
        {"method": name, "weights": weights, **{m: vars(number) for m, number in numbers.items()}}
        for name, weights, numbers in result.rows
    ]
    return {
        "source": result.table.source, "paper_protocol": result.table.protocol, "protocol": result.dataset,
        "comparable": not result.mark, "mark": result.mark, "rows": rows, "notes": result.notes,
    }  # fmt: skip
