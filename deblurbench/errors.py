"""The errors that a user sees, each with the exit code the command line gives it.

Every message names the file or key, what was found, what is allowed, and what to do next.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable

INTERRUPTED = 130
"""The exit code after Ctrl-C or SIGTERM."""


class DeblurbenchError(Exception):
    """Base of every error that is the user's to mend; printed without a traceback."""

    exit_code = 1


class UsageError(DeblurbenchError):
    """The request itself is wrong: an unknown name, a contradiction, another run's folder."""

    exit_code = 2


class DamagedError(UsageError):
    """A record of a run cannot be read: cut short, or not what its name says."""


class MissingError(DeblurbenchError):
    """Data or weights are not there; the message says where they come from."""

    exit_code = 3


class CardError(UsageError):
    """A card.yaml does not fit its model; all its errors are listed with their paths."""


class FrameError(DeblurbenchError):
    """A frame's file is missing, unreadable, or of a kind that would be scored wrongly.

    `kind` is one of `missing`, `empty`, `corrupt`, `not-an-image`, `channels`, `depth`, `too-large`, `size`,
    `changed`.
    """

    def __init__(self, message: str, kind: str = "corrupt") -> None:
        super().__init__(message)
        self.kind = kind


class ContractError(DeblurbenchError):
    """A method broke the contract: wrong shape, dtype, frame count, or NaN."""


class DiskError(DeblurbenchError):
    """The disk is full or not writable; what was finished before is kept."""


class Notice(UserWarning):
    """A warning of ours that a user reads: a plain line, without the place in our code that it comes from."""


class DifferenceError(DeblurbenchError):
    """`compare --fail-if` or `verify` found a difference."""

    exit_code = 4


NAMED = 12
"""Names that are listed beside a good match; without one all are."""


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """A sentence with the nearest allowed name and a few others, or the whole list where nothing is near."""
    names = sorted(allowed)
    lowered = [name.lower() for name in names]
    near = difflib.get_close_matches(found.lower(), lowered, n=1, cutoff=0.6)
    if not near:
        return f"Known: {', '.join(map(_quoted, names)) or 'none'}."
    best = names[lowered.index(near[0])]
    nearest = set(difflib.get_close_matches(found.lower(), lowered, n=NAMED, cutoff=0.0))
    shown = [name for name in names if name.lower() in nearest][:NAMED]
    rest = f", ... ({len(names)} in all)" if len(names) > len(shown) else ""
    return f"Did you mean {best!r}? Known: {', '.join(map(_quoted, shown))}{rest}."


def _quoted(name: str) -> str:
    """A name as it stands in a list of names: in quotes where a comma or a blank would break it in two."""
    return repr(name) if "," in name or " " in name else name


_format = warnings.formatwarning


def plain_warnings() -> None:
    """From now on print a `Notice` as one line, `! text`; other warnings keep Python's form."""
    warnings.formatwarning = _format_warning


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    if issubclass(category, Notice):
        return f"! {message}\n"
    return _format(message, category, filename, lineno, line)


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 clip`, `2 clips`, `0 clips`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
