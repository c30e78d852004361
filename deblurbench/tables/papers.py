"""Numbers that papers published, beside the measured ones."""

from __future__ import annotations

from collections.abc import Sequence

from deblurbench.errors import CardError, UsageError
from deblurbench.registry.cards import MethodCard, Published
from deblurbench.registry.discovery import plugin
from deblurbench.results.manifest import Manifest, MethodRecord
from deblurbench.results.run import Run
from deblurbench.tables.model import (
    Row,
)


def comparable_papers(manifest: Manifest, method: MethodRecord) -> dict[str, Published]:
    """Published numbers of this variant under this run's protocol, by metric; all of one source, the card's first."""
    fitting = [p for p in _published(method) if p.protocol == manifest.protocol.name]
    return {p.metric: p for p in reversed(fitting) if p.source == fitting[0].source}


def _published(method: MethodRecord) -> list[Published]:
    try:
        card = plugin("methods", method.name).card
    except (UsageError, CardError):  # the plugin may be gone or broken since; the stored numbers stay readable
        return []
    papers = card.paper if isinstance(card, MethodCard) else ()
    return [p for p in papers if p.variant in ("", method.variant)]


def paper_note(row: Row, manifest: Manifest) -> str:
    """Whose published numbers stand beside the measured ones, or why none do; empty where there are none."""
    shown = [cell.paper for cell in row.cells.values() if cell.paper]
    if shown:
        metrics = {paper.metric for paper in shown}
        others = [p for p in comparable_papers(manifest, row.method).values() if p.metric not in {*metrics, "fps"}]
        missing = ", ".join(f"{p.metric} {p.value:g}" for p in others)
        lacks = f"; it also reports {missing}, which this run does not have" if missing else ""
        return f"paper values: {shown[0].source}{lacks}"
    for paper in [p for p in _published(row.method) if p.metric.startswith("psnr")]:
        if paper.protocol != manifest.protocol.name:
            why = f"this run is {manifest.protocol.name}"
        elif manifest.partial:
            why = f"this run is partial ({manifest.coverage})"
        else:
            why = f"this run has no {paper.metric}"
        return f"paper reports {paper.value:.2f} dB under {paper.protocol}; {why}"
    return ""


def _paper_notes(runs: Sequence[Run], rows: Sequence[Row]) -> list[str]:
    notes = {row.label: paper_note(row, runs[row.run].manifest) for row in rows}
    return [f"{label}: {note}" for label, note in notes.items() if note]
