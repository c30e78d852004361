"""Colours of the methods, the same in every plot of the page.

Those of the figures for papers, lightened for the dark theme. After six methods the colours repeat with
another dash and marker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deblurbench.plots.style import COLOURS as LIGHT
from deblurbench.tables import ResultTable, Row

DARK = ("#9aa3af", "#5db4ec", "#ff8c4a", "#35c79c", "#e79ccb", "#f0b640", "#9ed5f5")
DASHES = ("none", "6 3", "2 3", "9 3 2 3")
MARKERS = ("o", "s", "^", "D")


@dataclass(frozen=True)
class Style:
    """How a method is drawn: colour number (0 is the reference's grey) and dash or marker number."""

    colour: int
    dash: int

    @property
    def classes(self) -> str:
        """CSS classes, defined in palette.css."""
        return f"s{self.colour} d{self.dash}"


def styles(table: ResultTable) -> dict[str, Style]:
    """A style for every row's label, in the table's order."""
    others = [row for row in table.rows if not is_reference(table, row)]
    found = {row.label: Style(0, 0) for row in table.rows if is_reference(table, row)}
    count = len(LIGHT) - 1
    for number, row in enumerate(others):
        found[row.label] = Style(1 + number % count, (number // count) % len(DASHES))
    return found


def is_reference(table: ResultTable, row: Row) -> bool:
    """Whether a row is the one that the others are compared with."""
    return row.method.id == table.reference


def stylesheet() -> str:
    """palette.css: the colours as custom properties for both themes, and one class a colour and a dash."""
    lines = [
        _colours(":root", LIGHT),
        f"@media screen and (prefers-color-scheme: dark) {{ {_colours(':root', DARK)} }}",
    ]
    lines.append(_colours("#viewer", DARK))  # always dark: pictures are judged on the same ground
    lines += [f".s{n} {{ --c: var(--s{n}); }}" for n in range(len(LIGHT))]
    lines += [f".d{n} {{ stroke-dasharray: {dash}; }}" for n, dash in enumerate(DASHES)]
    return "\n".join(lines) + "\n"


def _colours(selector: str, colours: Sequence[str]) -> str:
    return selector + " { " + " ".join(f"--s{n}: {colour};" for n, colour in enumerate(colours)) + " }"
