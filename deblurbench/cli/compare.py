"""`deblurbench compare A B`: what changed between two runs, with exit code 4 for continuous integration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deblurbench.analysis.compare import (
    NOTHING,
    SECONDS,
    Comparison,
    Difference,
    compare_runs,
    parse_limits,
    parse_pairs,
)
from deblurbench.cli import options
from deblurbench.cli.terminal import print_json, print_table, say
from deblurbench.errors import DifferenceError
from deblurbench.results.run import Run

HEAD = ("method", "metric", "A", "B", "change", "mean over clips", "95 % interval", "clips", "frames", "mark")


@click.command()
@click.argument("run_a", metavar="A", type=click.Path(path_type=Path))
@click.argument("run_b", metavar="B", type=click.Path(path_type=Path))
@click.option("--fail-if", multiple=True, help="METRIC<DELTA or METRIC>DELTA, e.g. 'psnr<-0.05': exit code 4.")
@click.option("--pair", multiple=True, metavar="X=Y", help="Compare method X of A with method Y of B; repeatable.")
@click.option("--allow-mixed", is_flag=True, help="Compare runs under unlike protocols all the same, marked.")
@options.accept_edited
@options.as_json
def compare(
    run_a: Path, run_b: Path, fail_if: tuple[str, ...], pair: tuple[str, ...], allow_mixed: bool, accept_edited: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Show what changed from run A to run B: circumstances, and paired numbers over their common frames."""
    limits = parse_limits(fail_if)
    a, b = Run.open(run_a, accept_edited), Run.open(run_b, accept_edited)
    comparison = compare_runs(a, b, allow_mixed, parse_pairs(pair, a, b))
    broken = comparison.violations(limits)
    if as_json:
        print_json(_as_dict(comparison, broken))
    else:
        _print(comparison)
    if broken:
        raise DifferenceError("beyond --fail-if:\n" + "\n".join(f"  {line}" for line in broken))


def _print(comparison: Comparison) -> None:
    click.echo(f"A = {comparison.a.folder}\nB = {comparison.b.folder}\n")
    if comparison.changes:
        print_table(("changed", "A", "B"), [(c.what, _short(c.a), _short(c.b)) for c in comparison.changes])
    else:
        click.echo("No circumstance changed.")
    click.echo(f"({len(comparison.same)} other circumstances are the same)\n")
    print_table(HEAD, [_row(comparison, d) for d in comparison.differences])
    for note in comparison.notes:
        say(f"! {note}")


def _row(comparison: Comparison, d: Difference) -> tuple[object, ...]:
    decimals = next((m.decimals for m in comparison.a.manifest.metrics if m.id == d.metric), 4)
    places = 6 if d.metric == SECONDS else decimals + 2
    interval = f"[{d.interval.low:+.{places}f}, {d.interval.high:+.{places}f}]" if d.interval else ""
    clips = "" if d.clip_change is None else f"{d.clip_change:+.{places}f}"
    values = [NOTHING if value is None else f"{value:.{places}f}" for value in (d.a, d.b)]
    change = NOTHING if d.change is None else f"{d.change:+.{places}f}"
    return d.method, d.metric, *values, change, clips, interval, d.clips or "", d.frames, d.mark


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _as_dict(comparison: Comparison, broken: list[str]) -> dict[str, Any]:
    return {
        "a": str(comparison.a.folder),
        "b": str(comparison.b.folder),
        "comparable": not comparison.mixed,
        "changed": [vars(c) for c in comparison.changes],
        "same": comparison.same,
        "differences": [_difference(d) for d in comparison.differences],
        "notes": comparison.notes,
        "violations": broken,
    }


def _difference(d: Difference) -> dict[str, Any]:
    interval = [d.interval.low, d.interval.high] if d.interval else None
    return {**vars(d), "interval": interval, "change": d.change}
