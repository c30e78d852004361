"""`deblurbench report`: reports and tables from stored runs, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from deblurbench.cli import options
from deblurbench.cli.support.output import print_results, shown, shown_options, write_reports
from deblurbench.cli.terminal import say
from deblurbench.errors import UsageError
from deblurbench.registry.cards import IDENTITY
from deblurbench.reports.base import MEGABYTE, GalleryKind
from deblurbench.results.store import folder_name
from deblurbench.tables.latex import LatexStyle

MAILED = 25 * MEGABYTE  # what mail servers commonly take


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
@click.option(
    "--columns",
    metavar="A,B,...",
    help="Columns of table.tex: ids of metrics, seconds, gain, rank, parameters; by default all metrics and the time.",
)
@click.option("--intervals", is_flag=True, help="Write 95 % intervals beside the values of table.tex.")
@click.option("--short-names", is_flag=True, help="Leave variants out of table.tex where a method has one row.")
@click.option("--single-file", is_flag=True, help="Write report.html, too: the page with all its parts inside.")
@click.option(
    "--exact", is_flag=True, help="With --single-file: pictures and films without loss; by default it has previews."
)
@click.option(
    "--serve", type=click.IntRange(0, 65535), is_flag=False, flag_value=0, metavar="[PORT]",
    help="Serve the report to browsers of this machine until Ctrl-C; give it after the runs.",
)  # fmt: skip
@options.accept_edited
@options.as_json
def report(
    runs: tuple[Path, ...], output: Path | None, kinds: tuple[str, ...], allow_mixed: bool, reference: str,
    gallery: GalleryKind, budget: int, columns: str | None, intervals: bool, short_names: bool, single_file: bool,
    exact: bool, serve: int | None, accept_edited: bool, as_json: bool,
) -> None:  # fmt: skip
    """Build the report of stored runs anew."""
    if exact and not single_file:
        raise UsageError("--exact: has no use without --single-file; the report's folder is always without loss")
    style = LatexStyle(tuple(options.names(columns, "--columns") or ()) or None, intervals, short_names)
    parts = replace(shown(gallery, budget, reference), latex=style)
    files = write_reports(runs, output or own_folder(runs), kinds, allow_mixed, parts, accept_edited)
    print_results(runs, as_json, allow_mixed, reference, accept_edited)
    for file in files:
        say(f"  {file}")
    if single_file:
        _single_file(_page(files, "--single-file"), exact)
    if serve is not None:
        _serve(_page(files, "--serve").parent, serve)


def _page(files: Sequence[Path], option: str) -> Path:
    page = next((file for file in files if file.suffix == ".html"), None)
    if page is None:
        raise UsageError(f"{option}: the kinds of report asked for have no page. Leave --kind out, or name gallery.")
    return page


def _single_file(page: Path, exact: bool) -> None:
    """Say how large the page is as one file, and write it."""
    from deblurbench.frames.files import write_atomically
    from deblurbench.reports.inlining import exact_size, inlined

    target = page.with_name("report.html")
    whole = exact_size(page) / MEGABYTE
    if exact:
        say(f"  {target}: about {whole:.1f} MB, pictures and films without loss")
    data = inlined(page, exact)
    size = len(data) / MEGABYTE
    if not exact:
        say(f"  {target}: {size:.1f} MB, with previews; --exact would make it about {whole:.1f} MB")
    if len(data) > MAILED:
        smaller = "" if not exact else "without --exact, "
        say(
            f"! {size:.0f} MB: many mail servers refuse more than {MAILED // MEGABYTE} MB, and browsers open it "
            f"slowly. Smaller: {smaller}--budget {MAILED // MEGABYTE * 3 // 5}, or --gallery none."
        )
    write_atomically(target, data)


def _serve(folder: Path, port: int) -> None:
    """Serve until Ctrl-C."""
    from deblurbench.reports import serving

    with serving.server(folder, port) as made:
        say(f"\nserving {folder} at {serving.address(made)} (Ctrl-C ends it)")
        try:
            made.serve_forever()
        except KeyboardInterrupt:
            say("\nended")
