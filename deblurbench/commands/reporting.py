"""`deblurbench report` and the end of every run: reports and tables from stored runs, without torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from deblurbench.cards import ReportCard
from deblurbench.rooms import plugin, plugins
from deblurbench.store import Run, folder_name
from deblurbench.terminal import say


def write_reports(
    runs: Sequence[Path], folder: Path, kinds: Sequence[str] = (), allow_mixed: bool = False
) -> list[Path]:
    """Write the named kinds of report (the default ones for none) and return their main files."""
    opened = [Run.open(run) for run in runs]
    files: list[Path] = []
    for card in _cards(kinds):
        report = plugin("reports", card.name).load()(card)
        files += report.write(opened, folder, allow_mixed=allow_mixed)[:1]
    return files


def _cards(kinds: Sequence[str]) -> list[ReportCard]:
    if kinds:
        cards = [plugin("reports", kind).card for kind in kinds]
    else:
        cards = [p.card for p in plugins("reports").values()]
    fitting = [card for card in cards if isinstance(card, ReportCard) and (kinds or card.default)]
    return sorted(fitting, key=lambda card: (card.order, card.name))


def print_results(runs: Sequence[Path], as_json: bool = False, allow_mixed: bool = False) -> None:
    """Print the comparison table of stored runs on standard output."""
    from deblurbench import tables

    table = tables.build([Run.open(run) for run in runs], allow_mixed=allow_mixed)
    if as_json:
        print(tables.as_json(table))
        return
    from rich.console import Console

    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(tables.terminal(table))


def own_folder(runs: Sequence[Path]) -> Path:
    """Where a report goes by default: RUN/report; that of several runs stands beside the first, which keeps its own."""
    names = {run.resolve(): folder_name(run.resolve().name) for run in runs}
    if len(names) == 1:
        return runs[0] / "report"
    first, second, *others = names.values()
    return next(iter(names)).parent / f"report-{first}-{second}{f'-and-{len(others)}-more' if others else ''}"


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Where to write; by default RUN/report, for several runs report-A-B beside A.",
)
@click.option("--kind", "kinds", multiple=True, help="Only these kinds of report; see 'deblurbench list reports'.")
@click.option("--allow-mixed", is_flag=True, help="Let runs under different protocols share a table, marked.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def report(
    runs: tuple[Path, ...], output: Path | None, kinds: tuple[str, ...], allow_mixed: bool, as_json: bool
) -> None:
    """Build the report of stored runs anew."""
    files = write_reports(runs, output or own_folder(runs), kinds, allow_mixed)
    print_results(runs, as_json, allow_mixed)
    for file in files:
        say(f"  {file}")
