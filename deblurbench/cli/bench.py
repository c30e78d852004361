"""`deblurbench bench`: how long methods take per frame, as a measurement."""

from __future__ import annotations

import datetime
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deblurbench.cli import options
from deblurbench.cli.options import NOTHING_KEPT, finite
from deblurbench.cli.terminal import plugins_print_to_stderr, print_json, say, text_table
from deblurbench.errors import INTERRUPTED, UsageError
from deblurbench.frames.files import write_atomically
from deblurbench.results.store import folder_name, in_runs

if TYPE_CHECKING:
    from deblurbench.runtime.benchmark import Measured, Report
    from deblurbench.runtime.ratios import Ratio, Stored

PAIRED = "Interleaved ratios: the median over rounds of one method's median time in a round over the other's."
PAIRS = ("method", "against", "size", "ratio of times", "95 % interval", "rounds", "verdict", "measured")
HEAD = ("method", "size", "s/frame", "95 % interval", "p95", "fps", "rounds", "memory MB", "parameters", "GMAC/frame")


@click.command()
@click.option("--methods", help="name[:variant][@weights],... (without weights: random ones, marked).")
@click.option("--size", "sizes", help="WIDTHxHEIGHT,...; by default 1280x720, or the sizes of --compare.")
@options.device
@options.precision
@click.option("--frames", type=click.IntRange(min=1), default=4, show_default=True, help="Frames of a method a round.")
@click.option("--seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, callback=finite,
              help="At most so long for each size; less where the interval is narrower than 2 % before.")  # fmt: skip
@click.option("--compare", type=click.Path(path_type=Path), metavar="RUN",
              help="Folder of an earlier bench or run: its methods are measured too, interleaved, and a bench's with "
                   "what they took then.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), help="Folder for bench.json and bench.md.")
@options.as_json
def bench(
    methods: str | None, sizes: str | None, device: str, precision: str, frames: int, seconds: float,
    compare: Path | None, output: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Time methods on synthetic frames: median, interval, memory, parameters, multiply-adds.

    With several methods, each is compared round by round with the first one that is not the blurry input.
    """
    from deblurbench.cli.options import names
    from deblurbench.evaluation.plan import plan_methods
    from deblurbench.registry.cards import IDENTITY
    from deblurbench.runtime.benchmark import Settings, measure, parse_sizes

    stored = _stored(compare) if compare else None
    requested = list(dict.fromkeys([*(names(methods) or []), *(stored.methods if stored else ())]))
    if not requested:
        raise UsageError("nothing to measure: give --methods A,B, or --compare RUN to measure what RUN did.")
    planned = [m for m in plan_methods(requested, random_weights=True) if m.id != IDENTITY or IDENTITY in requested]
    chosen = list(stored.sizes) if stored and stored.sizes and not sizes else parse_sizes(sizes or "1280x720")
    try:
        with plugins_print_to_stderr():
            report = measure(planned, chosen, Settings(device, precision, frames, seconds), say)
    except KeyboardInterrupt:  # bench.json is written at the end
        say(NOTHING_KEPT, always=True)
        return INTERRUPTED
    measured = _as_dict(report, requested, stored)
    folder = output or in_runs(f"bench-{folder_name('+'.join(requested))[:60]}")
    files = _write(report, measured, stored, folder)
    if as_json:
        print_json(measured)
    else:
        click.echo("\n".join(text_table(head, rows) for head, rows in _tables(report, stored)))
    for line in [f"Device {report.device}, precision {precision}.", *measured["notes"], *map(str, files)]:
        say(f"  {line}")
    return 1 if any(m.error for m in report.results) else 0


def _stored(folder: Path) -> Stored:
    from deblurbench.runtime.ratios import read_stored

    return read_stored(folder)


def _ratios(report: Report, stored: Stored | None) -> list[Ratio]:
    from deblurbench.runtime.ratios import since, together

    return [*together(report.results), *(since(report, stored) if stored else ())]


def _tables(report: Report, stored: Stored | None) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Heads and rows: what was measured, and the ratios where there are any."""
    tables: list[tuple[tuple[str, ...], list[tuple[str, ...]]]] = [(HEAD, [_row(m) for m in report.results])]
    ratios = [_ratio_row(r) for r in _ratios(report, stored)]
    return [*tables, (PAIRS, ratios)] if ratios else tables


def _ratio_row(r: Ratio) -> tuple[str, ...]:
    interval = f"{r.interval.low:.3f} to {r.interval.high:.3f}" if r.interval else "too few rounds"
    size = f"{r.width}x{r.height}"
    return r.method, r.against, size, f"{r.ratio:.3f}", interval, str(r.rounds), r.verdict, r.how


def _row(m: Measured) -> tuple[str, ...]:
    name = f"{m.method}{' (random weights)' * m.random_weights}"
    if m.error or not m.samples:
        return name, f"{m.width}x{m.height}", f"failed: {m.error}", *[""] * 7
    interval = f"{m.interval.low:.4g} to {m.interval.high:.4g}" if m.interval else "fewer than 6 rounds"
    memory = f"{m.peak_memory / 1e6:.0f}" if m.peak_memory is not None else "unknown"
    if m.peak_host_memory is not None:
        memory += f" + {m.peak_host_memory / 1e6:.0f} host"
    return (
        name, f"{m.width}x{m.height}", f"{m.median:.4g}", interval, f"{m.p95:.4g}", f"{1 / m.median:.4g}",
        str(len(m.rounds)), memory,
        "unknown" if m.parameters is None else f"{m.parameters:,}",
        "unknown" if m.macs is None else f"{m.macs / 1e9:.4g}",
    )  # fmt: skip


def _as_dict(report: Report, methods: list[str], stored: Stored | None) -> dict[str, Any]:
    from deblurbench import provenance
    from deblurbench.runtime.ratios import circumstances

    environment = provenance.environment()
    ratios = _ratios(report, stored)
    return {
        "schema_version": 1,
        "command": shlex.join(["deblurbench", *sys.argv[1:]]),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": report.device,
        "settings": vars(report.settings),
        "methods": methods,
        "results": [m.as_dict() for m in report.results],
        "ratios": [r.as_dict() for r in ratios],
        "notes": [
            *report.notes,
            *([PAIRED] if any(r.how == "interleaved" for r in ratios) else []),
            *(circumstances(report, stored, environment) if stored else ()),
        ],
        "machine": report.machine,
        "environment": environment,
    }


def _write(report: Report, measured: dict[str, Any], stored: Stored | None, folder: Path) -> list[Path]:
    lines: list[str] = []
    for head, rows in _tables(report, stored):
        lines += ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
        lines.append("")
    facts = [f"- Device {report.device}, precision {report.settings.precision}."]
    below = [*facts, *[f"- {note}" for note in measured["notes"]]]
    write_atomically(folder / "bench.json", (json.dumps(measured, indent=2) + "\n").encode())
    write_atomically(folder / "bench.md", ("\n".join([*lines, *below]) + "\n").encode())
    return [folder / "bench.json", folder / "bench.md"]
