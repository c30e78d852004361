"""The standard streams of a command: closed ones, encodings that lack our signs, and messages of the logger."""

from __future__ import annotations

import codecs
import logging
import os
import sys
from typing import Any

from deblurbench.text import printable

PLAIN = {
    "↑": "^", "↓": "v", "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{MINUS SIGN}": "-", "∞": "inf", "Δ": "d",
    "±": "+-", "\N{MULTIPLICATION SIGN}": "x", "…": "...", "†": "+", "‡": "++", "§": "S", "¶": "P",
    "‖": "||", "◊": "<>",
}  # fmt: skip
"""What stands for a sign that an output's encoding cannot hold; other characters become `\\uXXXX`."""
SUBSTITUTE = "deblurbench.substitute"


def prepare() -> None:
    """Make sure that standard input, output and error are open, and that no character stops an output.

    A descriptor that the caller closed is opened on the null device first: otherwise the next file that is opened would
    get its number, and what is printed would be written into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    codecs.register_error(SUBSTITUTE, _substitute)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", errors=SUBSTITUTE, closefd=False))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=SUBSTITUTE)


def _substitute(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    plain = "".join(PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in text)
    return plain, error.end


def discard_output() -> None:
    """Send what standard output still holds to the null device, after writing to it failed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Lines(logging.Handler):
    """Log records as lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        print(printable(f"! {text}" if record.levelno >= logging.WARNING else text), file=sys.stderr, flush=True)


LEVELS = {"quiet": logging.WARNING, "normal": logging.INFO, "verbose": logging.DEBUG}


def set_verbosity(name: str) -> None:
    """Print log messages of `quiet`, `normal` or `verbose` commands on standard error, and nowhere else."""
    logger = logging.getLogger("deblurbench")
    logger.handlers = [_Lines()]
    logger.setLevel(LEVELS[name])
    logger.propagate = False


def shows(level: int) -> bool:
    """Whether messages of a logging level are printed; without --quiet or --verbose those from INFO on."""
    return level >= (logging.getLogger("deblurbench").level or logging.INFO)
