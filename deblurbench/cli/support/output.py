"""What commands print and write of stored runs: reports and the comparison table, without torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import click

from deblurbench.cli.terminal import ReportProgress, console, print_json
from deblurbench.registry.cards import IDENTITY, ReportCard
from deblurbench.registry.discovery import plugin, plugins
from deblurbench.reports.base import BUDGET, MEGABYTE, GalleryKind, Options
from deblurbench.results.join import open_joined


def shown_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `run` and `report` that say how much the page shows."""
    gallery = click.option(
        "--gallery", type=click.Choice(get_args(GalleryKind)), default="sample", show_default=True,
        help="Pictures on the page: every frame kept, the worst, median, best and a stride of each clip, or none.",
    )  # fmt: skip
    budget = click.option(
        "--budget", type=click.IntRange(min=1), default=BUDGET, show_default=True, metavar="MB",
        help="Most megabytes of pictures and videos; the page says what it leaves out.",
    )  # fmt: skip
    return gallery(budget(function))


def shown(gallery: GalleryKind, budget: int, reference: str = IDENTITY) -> Options:
    """The words of `shown_options` as options, with progress on standard error."""
    return Options(gallery, budget * MEGABYTE, ReportProgress(), reference)


def write_reports(
    runs: Sequence[Path],
    folder: Path,
    kinds: Sequence[str] = (),
    allow_mixed: bool = False,
    options: Options | None = None,
    accept_edited: bool = False,
) -> list[Path]:
    """Write the named kinds of report (the default ones for none) and return their main files."""
    opened = open_joined(runs, accept_edited)
    files: list[Path] = []
    for card in _cards(kinds):
        report = plugin("reports", card.name).load()(card)
        files += report.write(opened, folder, allow_mixed=allow_mixed, options=options)[:1]
    return files


def _cards(kinds: Sequence[str]) -> list[ReportCard]:
    if kinds:
        cards = [plugin("reports", kind).card for kind in kinds]
    else:
        cards = [p.card for p in plugins("reports").values()]
    fitting = [card for card in cards if isinstance(card, ReportCard) and (kinds or card.default)]
    return sorted(fitting, key=lambda card: (card.order, card.name))


def print_results(
    runs: Sequence[Path],
    as_json: bool = False,
    allow_mixed: bool = False,
    reference: str = IDENTITY,
    accept_edited: bool = False,
) -> None:
    """Print the comparison table of stored runs on standard output."""
    from deblurbench import tables

    table = tables.build(open_joined(runs, accept_edited), reference=reference, allow_mixed=allow_mixed)
    if as_json:
        print_json(json.loads(tables.as_json(table)))
        return
    console(highlight=False, width=None if sys.stdout.isatty() else 160).print(tables.terminal(table))
