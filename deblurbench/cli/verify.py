"""`deblurbench verify RUN`: whether a stored run still is what it says."""

from __future__ import annotations

from pathlib import Path

import click

from deblurbench.checks.run import audit
from deblurbench.cli.terminal import print_table, say
from deblurbench.errors import DifferenceError
from deblurbench.results.store import Run


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="Score every saved frame anew, not a sample of 24.")
@click.option(
    "--disguised",
    type=click.IntRange(min=1),
    metavar="N",
    help="Restore N clips anew, renamed and slightly altered: for plugins that may know the benchmark.",
)
@click.option("--json", "as_json", is_flag=True)
def verify(run: Path, every: bool, disguised: int | None, as_json: bool) -> None:
    """Compute digests, tables and a sample of scores anew; exit code 4 where something differs."""
    found = audit(Run.open(run), every)
    if disguised:
        from deblurbench.checks.disguised import disguise

        found.checks += disguise(found.run, disguised)
    print_table(("what", "state", "detail"), [(c.what, c.state, c.detail) for c in found.checks], as_json)
    if found.run.manifest.invalidated:
        say(f"! this run was declared INVALID: {found.run.manifest.invalidated}")
    if found.differences:
        lines = "\n".join(f"  {check.what}: {check.detail}" for check in found.differences)
        raise DifferenceError(f"{run} is not what it says:\n{lines}")
