"""How methods look on the page: as in the figures for papers, with colours that follow the theme.

Colour, marker and dash pattern come from `deblurbench.plots.style`; the scripts get them with data.js, so that plots,
legends and curves show one set of marks.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from deblurbench.plots.style import COLOURS, ON_DARK, Look, looks, marker_path
from deblurbench.tables import ResultTable, Row

LINE = 2.0  # pixels of a curve on the page; dash patterns are in line widths
HEAT = 7  # steps of the heat map to either side of zero
STRONGEST = 56  # per cent of colour in its last step: text on it stays readable


def styles(table: ResultTable) -> dict[str, Look]:
    """A look for every row's label, in the table's order."""
    reference = next((row.label for row in table.rows if is_reference(table, row)), "")
    return looks([row.label for row in table.rows], reference)


def is_reference(table: ResultTable, row: Row) -> bool:
    """Whether a row is the one that the others are compared with."""
    return row.method.id == table.reference


def dash(look: Look) -> list[float]:
    """The dash pattern of a curve in pixels; empty for a whole line."""
    return [round(LINE * length, 1) for length in look.dashes[1]]


def swatch(look: Look) -> Markup:
    """A method's line and marker for legends, 28 x 12 pixels."""
    pattern = Markup(' stroke-dasharray="{}"').format(" ".join(map(str, dash(look)))) if dash(look) else Markup("")
    line = Markup('<line class="line" x1="0" x2="28" y1="6" y2="6"{}/>').format(pattern)
    mark = Markup('<path class="mark{}" d="{}" transform="translate(14 6) scale(8)"/>')
    return Markup('<svg class="swatch s{}" viewBox="0 0 28 12" aria-hidden="true">{}{}</svg>').format(
        look.number, line, mark.format(" open" if look.marker == "x" else "", marker_path(look.marker))
    )


def stylesheet() -> str:
    """palette.css: the colours as custom properties for both themes, a class a colour, and the heat map's steps."""
    lines = [
        _colours(":root", COLOURS),
        f"@media screen and (prefers-color-scheme: dark) {{ {_colours(':root', ON_DARK)} }}",
        _colours("#viewer", ON_DARK),  # always dark: pictures are judged on the same ground
    ]
    lines += [f".s{n} {{ --c: var(--s{n}); }}" for n in range(len(COLOURS))]
    for sign, colour in (("up", "var(--heat-up)"), ("down", "var(--heat-down)")):
        for step in range(1, HEAT + 1):
            share = round(STRONGEST * step / HEAT)
            lines.append(f".{sign}{step} {{ background: color-mix(in srgb, {colour} {share}%, var(--raised)); }}")
    return "\n".join(lines) + "\n"


def _colours(selector: str, colours: Sequence[str]) -> str:
    return selector + " { " + " ".join(f"--s{n}: {colour};" for n, colour in enumerate(colours)) + " }"
