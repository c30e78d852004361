"""`deblurbench verify RUN` checks a stored run; `deblurbench invalidate RUN` declares it wrong."""

from __future__ import annotations

from pathlib import Path

import click

from deblurbench.checks.run import audit
from deblurbench.cli import options
from deblurbench.cli.terminal import ProgressBars, print_table, say
from deblurbench.errors import DifferenceError, UsageError
from deblurbench.evaluation.runner import claim
from deblurbench.results.run import Run
from deblurbench.results.store import Store


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="Score every saved frame anew, not a sample of 24.")
@click.option(
    "--disguised",
    type=click.IntRange(min=1),
    metavar="N",
    help="Restore N clips anew, renamed and slightly altered: for plugins that may know the benchmark.",
)
@options.as_json
def verify(run: Path, every: bool, disguised: int | None, as_json: bool) -> None:
    """Compute digests, tables and a sample of scores anew; exit code 4 where something differs."""
    audited = audit(Run.open(run, accept_edited=True), every)
    if disguised:
        from deblurbench.checks.disguised import disguise

        with ProgressBars() as bars:
            audited.checks += disguise(audited.run, disguised, bars)
    print_table(("what", "state", "detail"), [(c.what, c.state, c.detail) for c in audited.checks], as_json)
    if audited.run.manifest.invalidated:
        say(f"! this run was declared INVALID: {audited.run.manifest.invalidated}")
    if audited.differences:
        lines = "\n".join(f"  {check.what}: {check.detail}" for check in audited.differences)
        raise DifferenceError(f"{run} is not what it says:\n{lines}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--why", help="The reason, for every table and report of the run.")
@click.option("--undo", is_flag=True, help="Take an earlier declaration back.")
def invalidate(run: Path, why: str | None, undo: bool) -> None:
    """Mark a run as invalid (or valid again), in run.json and in its report."""
    reason = (why or "").strip()
    if bool(reason) == undo:
        raise UsageError("say what is wrong with the run by --why TEXT, or take it back with --undo alone.")
    store = Store(run)
    before = Run.open(run).manifest.invalidated
    if undo and before is None:
        raise UsageError(f"{run} was not declared invalid; there is nothing to undo.")
    with claim(run):
        manifest = store.read_manifest()
        manifest.invalidated = reason or None
        store.write_manifest(manifest)
    say(f"{run}: {'valid again' if undo else 'declared invalid'}" + (f" (before: {before})" if before else ""))
    if (run / "report").is_dir():
        from deblurbench.cli.support.output import write_reports

        for file in write_reports([run], run / "report"):
            say(f"  {file}")
