"""Pieces of Markdown that the sections of docs/training.md share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deblurbench.analysis.statistics import Interval

NONE = "-"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: int = 1) -> str:
    """A Markdown table; columns from the `right`-th on are aligned to the right."""
    marks = ["---" if column < right else "---:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows)) + "\n"


def in_words(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def interval(found: Interval | None) -> str:
    """Both ends with their signs."""
    return f"{found.low:+.2f} to {found.high:+.2f}" if found else NONE


def p_value(p: float | None) -> str:
    """A p to three decimals, never as zero."""
    return NONE if p is None else "< 0.001" if p < 0.0005 else f"{p:.3f}"


def plain(value: Any) -> str:
    """A value of a recipe in words."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def flat(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())
