"""`deblurbench report` and the end of every run: reports and tables from stored runs, without torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import click

from deblurbench.cli.terminal import ReportProgress, console, print_json, say
from deblurbench.errors import UsageError
from deblurbench.registry.cards import IDENTITY, ReportCard
from deblurbench.registry.discovery import plugin, plugins
from deblurbench.reports.base import BUDGET, MEGABYTE, GalleryKind, Options
from deblurbench.results.run import Run
from deblurbench.results.store import folder_name

MAILED = 25 * MEGABYTE  # what mail servers commonly take


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
) -> list[Path]:
    """Write the named kinds of report (the default ones for none) and return their main files."""
    opened = [Run.open(run) for run in runs]
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
    runs: Sequence[Path], as_json: bool = False, allow_mixed: bool = False, reference: str = IDENTITY
) -> None:
    """Print the comparison table of stored runs on standard output."""
    from deblurbench import tables

    table = tables.build([Run.open(run) for run in runs], reference=reference, allow_mixed=allow_mixed)
    if as_json:
        print_json(json.loads(tables.as_json(table)))
        return
    console(highlight=False, width=None if sys.stdout.isatty() else 160).print(tables.terminal(table))


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
@click.option(
    "--reference",
    default=IDENTITY,
    show_default=True,
    metavar="METHOD",
    help="The method that the others are compared with.",
)
@shown_options
@click.option("--single-file", is_flag=True, help="Write report.html, too: the page with all its parts inside.")
@click.option(
    "--serve", type=click.IntRange(0, 65535), is_flag=False, flag_value=0, metavar="[PORT]",
    help="Serve the report to browsers of this machine until Ctrl-C; give it after the runs.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def report(
    runs: tuple[Path, ...], output: Path | None, kinds: tuple[str, ...], allow_mixed: bool, reference: str,
    gallery: GalleryKind, budget: int, single_file: bool, serve: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Build the report of stored runs anew."""
    files = write_reports(runs, output or own_folder(runs), kinds, allow_mixed, shown(gallery, budget, reference))
    print_results(runs, as_json, allow_mixed, reference)
    for file in files:
        say(f"  {file}")
    if single_file:
        _single_file(_page(files, "--single-file"))
    if serve is not None:
        _serve(_page(files, "--serve").parent, serve)


def _page(files: Sequence[Path], option: str) -> Path:
    page = next((file for file in files if file.suffix == ".html"), None)
    if page is None:
        raise UsageError(f"{option}: the kinds of report asked for have no page. Leave --kind out, or name gallery.")
    return page


def _single_file(page: Path) -> None:
    """Write the page as one file, and say how large it is."""
    from deblurbench.reports.inlining import inline

    target = page.with_name("report.html")
    size = inline(page, target)
    say(f"  {target} ({size / MEGABYTE:.1f} MB in one file)")
    if size > MAILED:
        say(
            f"! {size / MEGABYTE:.0f} MB: many mail servers refuse more than {MAILED // MEGABYTE} MB, and browsers "
            f"open it slowly. Smaller: --budget {MAILED // MEGABYTE * 3 // 5}, or --gallery none."
        )


def _serve(folder: Path, port: int) -> None:
    """Serve until Ctrl-C."""
    from deblurbench.reports import serving

    with serving.server(folder, port) as made:
        say(f"\nserving {folder} at {serving.address(made)} (Ctrl-C ends it)")
        try:
            made.serve_forever()
        except KeyboardInterrupt:
            say("\nended")
