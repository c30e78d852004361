"""What commands share: what options may hold beyond what click's own types refuse, and how an interruption ends."""

from __future__ import annotations

import math
import re
import shlex
import sys
from pathlib import Path

import click

from deblurbench.cli.terminal import say
from deblurbench.datasets.selection import listed
from deblurbench.errors import INTERRUPTED, UsageError

NOTHING_KEPT = "\ninterrupted; nothing was kept, run it again"


def finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """Refuse `nan` and `inf`, which every range lets pass and no clock ever reaches."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a time. Give a number, or leave the option out.")
    return value


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
    say(f"\ninterrupted; what was finished is kept. Resume with:\n  {resume}")
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
