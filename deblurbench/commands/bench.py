"""`deblurbench bench`: how long methods take per frame, as a measurement."""

from __future__ import annotations

import datetime
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deblurbench.imagefiles import write_atomically
from deblurbench.store import folder_name
from deblurbench.terminal import print_json, say, text_table

if TYPE_CHECKING:
    from deblurbench.benching import Measured, Report

HEAD = ("method", "size", "s/frame", "95 % interval", "p95", "fps", "rounds", "memory MB", "parameters", "GMAC/frame")


@click.command()
@click.option("--methods", required=True, help="name[:variant][@weights],... (without weights: random ones, marked).")
@click.option("--size", "sizes", default="1280x720", show_default=True, help="WIDTHxHEIGHT,...")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda:N.")
@click.option("--precision", type=click.Choice(["fp32", "tf32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--frames", type=click.IntRange(min=1), default=4, show_default=True, help="Frames of a method a round.")
@click.option("--seconds", type=click.FloatRange(min=0), default=60.0, show_default=True,
              help="At most so long for each size; less where the interval is narrower than 2 % before.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), help="Folder for bench.json and bench.md.")
@click.option("--json", "as_json", is_flag=True)
def bench(
    methods: str, sizes: str, device: str, precision: str, frames: int, seconds: float, output: Path | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Time methods on synthetic frames: median, interval, memory, parameters, multiply-adds."""
    from deblurbench.benching import Settings, measure, parse_sizes
    from deblurbench.commands.run import names
    from deblurbench.planning import IDENTITY, plan_methods

    wanted = names(methods) or []
    planned = [m for m in plan_methods(wanted, random_weights=True) if m.id != IDENTITY or IDENTITY in wanted]
    settings = Settings(device, precision, frames, seconds)
    report = measure(planned, parse_sizes(sizes), settings, say)
    folder = output or Path("runs") / f"{datetime.date.today()}-bench-{folder_name('+'.join(wanted))[:60]}"
    files = _write(report, folder)
    if as_json:
        print_json(_as_dict(report))
    else:
        click.echo(text_table(HEAD, [_row(m) for m in report.results]))
    for line in [f"Device {report.device}, precision {precision}.", *report.notes, *map(str, files)]:
        say(f"  {line}")
    return 1 if any(m.error for m in report.results) else 0


def _row(m: Measured) -> tuple[str, ...]:
    name = f"{m.method}{' (random weights)' * m.random_weights}"
    if not m.samples:
        return name, f"{m.width}x{m.height}", f"failed: {m.error}", *[""] * 7
    interval = f"{m.interval.low:.4g} to {m.interval.high:.4g}" if m.interval else "fewer than 6 rounds"
    memory = f"{m.peak_memory / 1e6:.0f}" if m.peak_memory is not None else "unknown"
    return (
        name, f"{m.width}x{m.height}", f"{m.median:.4g}", interval, f"{m.p95:.4g}", f"{1 / m.median:.4g}",
        str(len(m.rounds)), memory,
        "unknown" if m.parameters is None else f"{m.parameters:,}",
        "unknown" if m.macs is None else f"{m.macs / 1e9:.4g}",
    )  # fmt: skip


def _as_dict(report: Report) -> dict[str, object]:
    from deblurbench import provenance

    return {
        "schema_version": 1,
        "command": shlex.join(["deblurbench", *sys.argv[1:]]),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": report.device,
        "settings": vars(report.settings),
        "results": [m.as_dict() for m in report.results],
        "notes": report.notes,
        "machine": report.machine,
        "environment": provenance.environment(),
    }


def _write(report: Report, folder: Path) -> list[Path]:
    rows = [HEAD, tuple("---" for _ in HEAD), *[_row(m) for m in report.results]]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    below = [f"- Device {report.device}, precision {report.settings.precision}.", *[f"- {n}" for n in report.notes]]
    write_atomically(folder / "bench.json", (json.dumps(_as_dict(report), indent=2) + "\n").encode())
    write_atomically(folder / "bench.md", ("\n".join([*lines, "", *below]) + "\n").encode())
    return [folder / "bench.json", folder / "bench.md"]
