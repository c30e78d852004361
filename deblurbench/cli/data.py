"""`deblurbench data`: what lies there, whether it is whole, preparing what can be made, fetching metric trunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from deblurbench.cli import options
from deblurbench.cli.options import interrupted
from deblurbench.cli.terminal import print_json, print_table, say
from deblurbench.datasets.opening import open_dataset
from deblurbench.errors import DifferenceError
from deblurbench.text import counted


@click.group()
def data() -> None:
    """Look at, verify, prepare and fetch data."""


def _place(function: Callable[..., Any]) -> Callable[..., Any]:
    """The dataset and where it lies."""
    function = options.data_root(function)
    return click.argument("dataset")(function)


@data.command()
@_place
@options.as_json
def info(dataset: str, data_root: str | None, as_json: bool) -> None:
    """Show what was recognised: layout, splits, clips, frames."""
    from deblurbench.datasets.verify import info as look

    opened, protocol = open_dataset(dataset, data_root)
    recognised = look(opened, protocol)
    print_json(recognised.as_dict()) if as_json else click.echo(recognised.as_text())


@data.command()
@_place
@click.option("--deep", is_flag=True, help="Decode every frame, look at the pixels, and take every recorded digest.")
@click.option("--record", is_flag=True, help="Write SHA256SUMS beside the data, which later runs hold it to.")
@options.as_json
def verify(dataset: str, data_root: str | None, deep: bool, record: bool, as_json: bool) -> int:
    """Compare a copy with what its authors released: missing, extra, damaged, swapped."""
    from deblurbench.datasets.sums import record_sums
    from deblurbench.datasets.verify import verify as look

    opened, protocol = open_dataset(dataset, data_root)
    report = look(opened, protocol, deep=deep)
    print_json(report.as_dict()) if as_json else click.echo(report.as_text())
    if record and report.ok:
        present = opened.find(protocol)
        file, count = record_sums(present.root, [clip for clips in present.splits.values() for clip in clips])
        say(f"recorded the digests of {counted(count, 'file')} in {file}")
    elif record:
        say("nothing recorded: the errors above come first")
    return 0 if report.ok else DifferenceError.exit_code


@data.command()
@_place
def prepare(dataset: str, data_root: str | None) -> int:
    """Make what a protocol needs and can be made from the data (resumable)."""
    from rich.console import Console
    from rich.progress import Progress

    opened, protocol = open_dataset(dataset, data_root)
    try:
        with Progress(console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(protocol.name, total=None)
            opened.prepare(protocol, lambda done, total: bars.update(task, completed=done, total=total))
    except KeyboardInterrupt:
        return interrupted()
    clips = opened.clips(protocol)
    say(f"{protocol.name} is ready: {counted(len(clips), 'clip')}")
    return 0


@data.command()
@click.argument("what", nargs=-1, required=True)
@options.as_json
def fetch(what: tuple[str, ...], as_json: bool) -> None:
    """Download the trunk of a metric: lpips-alex, lpips-vgg, lpips-squeeze or dists."""
    from deblurbench.metrics.lpips_weights import fetch as download

    rows = [(name, download(name)) for name in what]
    print_table(("metric", "file"), rows, as_json)
