"""`deblurbench invalidate RUN`: declare a run wrong, with the reason; nothing is deleted."""

from __future__ import annotations

from pathlib import Path

import click

from deblurbench.cli.terminal import say
from deblurbench.errors import UsageError
from deblurbench.evaluation.runner import claim
from deblurbench.results.store import Store


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
    before = store.read_manifest().invalidated
    if undo and before is None:
        raise UsageError(f"{run} was not declared invalid; there is nothing to undo.")
    with claim(run):
        manifest = store.read_manifest()
        manifest.invalidated = reason or None
        store.write_manifest(manifest)
    say(f"{run}: {'valid again' if undo else 'declared invalid'}" + (f" (before: {before})" if before else ""))
    if (run / "report").is_dir():
        from deblurbench.cli.reporting import write_reports

        for file in write_reports([run], run / "report"):
            say(f"  {file}")
