"""Figures as SVG inside a page: colours from the page's style sheet, no styles of their own, the same bytes every time.

A page whose policy allows no inline styles shows what matplotlib writes only after this: declarations become
attributes, colours of the page's theme become its custom properties (`--s0` and on for methods), and what belongs to a
method carries its name as data-method, so that a script can hide it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from deblurbench.plots.style import COLOURS, Theme, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THEME = Theme(text="#0a0b0c", grid="#0d0e0f", panel="#0f1011", span="#101112", marked=True)
_VARIABLES = {
    THEME.text: "var(--plot-text)", THEME.grid: "var(--rule)", THEME.panel: "var(--wash)", THEME.span: "var(--span)",
    **{colour: f"var(--s{number})" for number, colour in enumerate(COLOURS)},
}  # fmt: skip
_COLOUR = re.compile("|".join(_VARIABLES))
_STYLE = re.compile(r' style="([^"]*)"')
_GROUP = re.compile(r' id="([^"]*)"')
_FONT = re.compile(r"(?:(bold|700) )?([0-9.]+px) .*")


def inline(draw: Callable[[], Figure], name: str, label: str) -> str:
    """Draw a figure (with `THEME`) as an SVG element. `name` makes its ids its own, `label` says what it shows."""
    text = render(draw, ".svg", {"svg.fonttype": "none", "svg.hashsalt": name}, transparent=True).data.decode()
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = _STYLE.sub(lambda match: _attributes(match[1]), body)
    body = _COLOUR.sub(lambda match: _VARIABLES[match[0]], body)
    used = set(re.findall(r"#([\w.-]+)", body))
    body = _GROUP.sub(lambda match: _identity(match[1], used), body)
    head, _, rest = body.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    opening = f'<svg class="drawn" {box[0]} role="img" aria-label="{html.escape(label)}">'
    return opening + re.sub(r"\n\s*", " ", _titled(rest)).strip()


def _attributes(style: str) -> str:
    """Declarations as attributes; the page's own font is used."""
    words = []
    for declaration in style.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        match = _FONT.match(value) if name == "font" else None
        if match:
            words += [f'font-size="{match[2]}"'] + (['font-weight="700"'] if match[1] else [])
        elif name and not name.startswith("font-family"):
            words.append(f'{name}="{value}"')
    return "".join(f" {word}" for word in words)


def _identity(name: str, used: set[str]) -> str:
    """An id stays where something refers to it, and becomes data-method where it is a method's; others go."""
    if "\t" in name:
        label, _, what = name.partition("\t")
        return f' data-method="{label}"' + (f' data-what="{what}"' if what else "")
    return f' id="{name}"' if name in used else ""


def _titled(text: str) -> str:
    """What a value is called, as a title that browsers show under the pointer."""
    pattern = re.compile(r'(<g data-method="([^"]*)") data-what="([^"]*)">')
    return pattern.sub(lambda match: f"{match[1]}><title>{match[2]}, {match[3]}</title>", text)
