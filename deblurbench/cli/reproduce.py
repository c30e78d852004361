"""`deblurbench reproduce METHOD`: run what a paper's table needs, and print it beside ours."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deblurbench.cli import options
from deblurbench.cli.options import interrupted
from deblurbench.cli.terminal import ProgressBars, print_json, say, text_table
from deblurbench.errors import MissingError
from deblurbench.evaluation.plan import Plan, make_plan
from deblurbench.metrics import METRICS
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import plugin
from deblurbench.results.manifest import Request
from deblurbench.results.run import Run
from deblurbench.results.store import folder_name, in_runs

if TYPE_CHECKING:
    from deblurbench.analysis.reproduce import PaperTable, Reproduction


@click.command()
@click.argument("method")
@click.option("--table", "number", type=int, help="The paper's table; the first one that the card has by default.")
@click.option("--dataset", help="NAME[:PROTOCOL] instead of the paper's; the paper's column is then marked.")
@options.data_root
@options.clips
@options.limit
@options.frames_per_clip
@click.option("--partial", is_flag=True, help="Accept an incomplete copy of the data; it is then not comparable.")
@options.device
@options.precision
@options.output
@options.fresh
@options.patience
@options.as_json
def reproduce(
    method: str, number: int | None, output: Path | None, fresh: bool, timeout: float, as_json: bool, **asked: Any
) -> int:
    """Run the variants of a paper's table that have weights, and print the paper's numbers beside ours."""
    from deblurbench.analysis import reproduce
    from deblurbench.cli.support.output import write_reports
    from deblurbench.evaluation import runner

    method_plugin = plugin("methods", method)
    card = method_plugin.card
    assert isinstance(card, MethodCard)
    table = reproduce.choose_table(card, number, asked["dataset"])
    ready, missing = reproduce.runnable(method_plugin, table)
    plan = _plan(table, ready, asked)
    others = [t.title for t in reproduce.paper_tables(card) if t.title != table.title]
    say(f"{card.title}: {table.title}" + (f". The card has also: {'; '.join(others)}" if others else ""))
    command = shlex.join(["deblurbench", *sys.argv[1:]])
    folder = output or in_runs(f"reproduce-{method}-{folder_name(plan.protocol.name)}")
    try:
        with ProgressBars() as bars:
            result = runner.run(plan, folder, command=command, fresh=fresh, timeout=timeout, listener=bars)
        laid = reproduce.beside(table, card, Run.open(result.folder), missing)
        print_json(reproduce.as_dict(laid)) if as_json else _print(laid)
        for file in write_reports([result.folder], result.folder / "report"):
            say(f"  {file}")
    except KeyboardInterrupt:
        return interrupted(folder)
    if not ready:
        raise MissingError(
            f"none of the variants of {table.title} has weights yet. 'deblurbench train {method}:VARIANT' makes them."
        )
    return 1 if result.failed else 0


def _plan(table: PaperTable, ready: list[str], asked: dict[str, Any]) -> Plan:
    """The plan of the run that the table needs.

    Raises:
        MissingError: the dataset is not there; the message says what the table needs.
    """
    from deblurbench.analysis.reproduce import metrics_of, protocol_of
    from deblurbench.cli.options import names
    from deblurbench.datasets.base import absolute_roots

    changed = {
        "methods": ready, "dataset": asked["dataset"] or table.protocol,
        "metrics": metrics_of(table, protocol_of(table, asked["dataset"])),
        "clips": names(asked["clips"], "--clips"), "data_root": absolute_roots(asked["data_root"]),
    }  # fmt: skip
    try:
        return make_plan(Request(**{**asked, **changed}))
    except MissingError as error:
        needed = f"{table.source} is measured under protocol {table.protocol!r}, and its data are not here.\n"
        raise MissingError(f"{needed if not asked['dataset'] else ''}{error}") from error


def _print(laid: Reproduction) -> None:
    head, rows = ["method", "weights"], []
    for metric in laid.metrics:
        head += [f"{metric}: paper", "ours", *["difference"] * (metric in METRICS)]
    for name, weights, numbers in laid.rows:
        row = [name, weights]
        for metric, beside in numbers.items():
            decimals = METRICS[metric].decimals if metric in METRICS else 1
            paper = "" if beside.paper is None else f"{beside.paper:.{decimals}f}{' *' if laid.mark else ''}"
            row += [paper, "" if beside.ours is None else f"{beside.ours:.{decimals}f}"]
            if metric in METRICS:
                row.append("" if beside.difference is None else f"{beside.difference:+.{decimals}f}")
        rows.append(row)
    click.echo(f"{laid.table.title} beside {laid.dataset}\n\n{text_table(head, rows)}")
    if laid.mark:
        click.echo(f"* {laid.mark}")
    for note in laid.notes:
        say(f"  {note}")
