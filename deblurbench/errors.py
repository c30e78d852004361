"""The errors that a user sees, each with the exit code the command line gives it.

Every message names the file or key, what was found, what is allowed, and what to do next.
"""

from __future__ import annotations

import warnings

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
