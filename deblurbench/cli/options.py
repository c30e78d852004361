"""Options that several commands share, each written once, and how an interrupted command ends."""

from __future__ import annotations

import math
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from deblurbench.cli.support import completion
from deblurbench.cli.terminal import say
from deblurbench.datasets.selection import listed
from deblurbench.errors import INTERRUPTED, UsageError

NOTHING_KEPT = "\ninterrupted; nothing was kept, run it again"


def finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """Refuse `nan` and `inf`, which every range lets pass and no clock ever reaches."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a time. Give a number, or leave the option out.")
    return value


PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
device = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda:N.")
devices = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda:N, or several GPUs: cuda:0,cuda:1."
)
cluster = click.option(
    "--cluster", metavar="ADDRESS", help="Work on Dask workers: tcp://HOST:PORT, local:N, or a scheduler file."
)
jobs = click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", help="Worker processes side by side; by default one a device."
)
precision = click.option("--precision", type=click.Choice(PRECISIONS), default="fp32", show_default=True)
data_root = click.option("--data-root", help="The dataset's folder, or the one that holds it (or DEBLURBENCH_DATA).")
_DATASET: dict[str, Any] = {
    "help": "NAME[:PROTOCOL], see 'deblurbench list protocols'.", "shell_complete": completion.protocols,
}  # fmt: skip
dataset = click.option("--dataset", required=True, **_DATASET)
run_dataset = click.option("--dataset", **_DATASET)
"""`--dataset` where a file may name it instead."""
split = click.option("--split", help="Another split than the protocol's; the run is then partial.")
clips = click.option("--clips", help="Only these clips, comma-separated.")
partial = click.option("--partial", is_flag=True, help="Accept an incomplete copy of the data; tables say so.")
tile = click.option("--tile", type=click.IntRange(min=32), help="Restore in tiles of N pixels a side, blended.")
limit = click.option("--limit", type=click.IntRange(min=1), help="Only the first N clips.")
frames_per_clip = click.option(
    "--frames-per-clip", type=click.IntRange(min=1), help="Only the first N frames of a clip."
)
metrics = click.option(
    "--metrics", help="Metric ids, comma-separated; see 'deblurbench list metrics'.", shell_complete=completion.metrics
)
save_frames = click.option(
    "--save-frames", type=click.Choice(["none", "sample", "all"]), default="sample", show_default=True,
    help="Restored frames to keep as PNG: those that the report shows and films of two clips, or all.",
)  # fmt: skip
output = click.option(
    "--output", type=click.Path(path_type=Path), help="Folder of the run; the same one again resumes it."
)
fresh = click.option("--fresh", is_flag=True, help="Start over in --output.")
accept_edited = click.option(
    "--accept-edited", is_flag=True, help="Read a run whose run.json or tables were edited; every table says so."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")

patience = click.option(
    "--timeout", type=click.FloatRange(min=1), default=900.0, show_default=True, callback=finite,
    help="Seconds without a frame = hung.",
)  # fmt: skip
"""The option of those commands that run methods: how long one may take for a frame."""


def fit_tag(context: click.Context, option: click.Parameter, tag: str | None) -> str | None:
    """Refuse a tag that would not be the last part of `name:variant@tag` and of a file's name."""
    if tag is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", tag):
        raise click.BadParameter(f"{tag!r}: letters, digits, and . _ - between them.")
    return tag


def interrupted(folder: Path | None = None) -> int:
    """Tell how what was interrupted is resumed, in `folder` where it has one; the exit code."""
    resume = resume_command(sys.argv[1:], folder)
    say(f"\ninterrupted; what was finished is kept. Resume with:\n  {resume}", always=True)
    return INTERRUPTED


def resume_command(argv: list[str], folder: Path | None) -> str:
    """The command that resumes a run in `folder`, as one can paste it; the folder is named, as a default has a date."""
    words = [word for word in argv if word != "--fresh"]
    if folder and not any(word == "--output" or word.startswith("--output=") for word in words):
        words += ["--output", str(folder)]
    return shlex.join(["deblurbench", *words])


def names(text: str | None, option: str = "") -> list[str] | None:
    """A comma-separated option as a list; None stays None.

    Raises:
        UsageError: the option was given but names nothing, as an unset variable of a shell script would.
    """
    if text is None:
        return None
    words = listed(text)
    if option and not words:
        raise UsageError(f"{option} {text!r} names nothing. Name at least one, or leave the option out.")
    return words
