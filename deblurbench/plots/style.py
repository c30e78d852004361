"""How figures for papers and plots of the report look, and how they become the same bytes every time.

Colours have the hues of Okabe and Ito's palette (2008), without its yellow, at lightnesses that keep them apart for
people with deuteranopia or protanopia (tests/unit/test_plot_marks.py simulates both). Markers and dashes change from
method to method, so that a grey print stays legible, too. Text is DejaVu Sans, which comes with matplotlib, 8 points;
PDFs embed it as TrueType, SVGs hold its outlines.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#6b7280", "#005a9c", "#a83c00", "#00805d", "#7a2e68", "#b8860b", "#3a9bd6")  # the first: the reference
ON_DARK = ("#7f8896", "#4aa3e0", "#ff7a33", "#2fd3a3", "#d97fc4", "#ffd166", "#c2eaff")  # the same on dark ground
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ((0, ()), (0, (5, 1.4)), (0, (1.4, 1.1)), (0, (6, 1.4, 1.4, 1.4)), (0, (3, 1.1, 1.1, 1.1, 1.1, 1.1)))
WIDTHS = {"single": 3.25, "double": 6.875}  # inches: a column and a page of the usual conference template
FORMATS = (".pdf", ".svg", ".png")
DPI = 400
SMALL = 7.0  # points; everything else has 8
INPUT = "blurry input"
TRUTH = "ground truth"
_METADATA: dict[str, dict[str, str | None]] = {
    ".pdf": {"Creator": "deblurbench", "Producer": None, "CreationDate": None},
    ".svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
    ".png": {"Software": None},
}
_SETTINGS = {
    "font.family": ["DejaVu Sans"], "font.size": 8, "axes.labelsize": 8, "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL, "text.hinting": "none", "text.usetex": False, "svg.hashsalt": "deblurbench",
    "svg.fonttype": "path", "pdf.fonttype": 42, "axes.unicode_minus": True,
    "path.simplify": False, "savefig.dpi": "figure",
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """How a method is drawn: a colour, a marker, a dash pattern in matplotlib's form (line widths on and off)."""

    colour: str
    marker: str = "o"
    dashes: tuple[int, tuple[float, ...]] = DASHES[0]

    @property
    def number(self) -> int:
        """The place of the colour in `COLOURS`, and in `ON_DARK`."""
        return COLOURS.index(self.colour)


@dataclass(frozen=True)
class Theme:
    """Colours and sizes of everything that is not a method; the defaults are those of a printed page.

    `marked` gives the drawing of each method an id in SVG: its label, and after a tab the name of the value, if any.
    """

    text: str = "#1f2328"
    grid: str = "#e3e5e8"
    reference: str = COLOURS[0]
    label_size: float = SMALL
    marker_size: float = 5.0
    panel: str = "#f6f7f8"
    span: str = "#c9ced6"
    marked: bool = False

    def mark(self, label: str, what: str = "") -> str | None:
        """The id of a method's drawing; None where ids are not wanted."""
        return f"{label}\t{what}" if self.marked else None


@dataclass
class Rendered:
    """A figure as bytes, and the characters that the font lacks (they are drawn as boxes)."""

    data: bytes
    lacking: list[str] = field(default_factory=list)


def looks(labels: Sequence[str], reference: str) -> dict[str, Look]:
    """A look for every label: grey for the reference, 42 different ones for the others, then again from the start."""
    styles = {}
    others = [label for label in labels if label != reference]
    for number, label in enumerate(others):
        colour = COLOURS[1 + number % (len(COLOURS) - 1)]
        styles[label] = Look(colour, MARKERS[number % len(MARKERS)], DASHES[number % len(DASHES)])
    return {label: styles.get(label, Look(COLOURS[0], "x", DASHES[2])) for label in labels}


def marker_path(marker: str) -> str:
    """A marker as SVG path data, 1 unit large around the origin, y downwards."""
    from matplotlib.markers import MarkerStyle
    from matplotlib.path import Path

    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
    words = []
    for points, code in path.iter_segments(curves=True, simplify=False):
        pairs = zip(points[::2], points[1::2], strict=True)
        close = code == Path.CLOSEPOLY
        words.append("Z" if close else letters[code] + " ".join(f"{x:.3g} {-y:.3g}" for x, y in pairs))
    return "".join(words)


def render(
    draw: Callable[[], Figure], suffix: str, settings: Mapping[str, Any] | None = None, transparent: bool = False
) -> Rendered:
    """Draw and encode a figure under fixed settings; a person's matplotlibrc changes nothing.

    `suffix` is one of `FORMATS`. The same data give the same bytes: no dates, no random ids, no version names.
    """
    import matplotlib.style

    with (
        matplotlib.style.context(["default", {**_SETTINGS, **(settings or {})}]),
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always")
        out = io.BytesIO()
        figure = draw()
        figure.savefig(out, format=suffix[1:], metadata=_METADATA[suffix], transparent=transparent)
    lacking = [str(w.message).partition(" (")[2].partition(")")[0] for w in said if "missing from" in str(w.message)]
    return Rendered(out.getvalue(), list(dict.fromkeys(lacking)))


def new_figure(width: float, height: float, constrained: bool = True, dpi: int = DPI) -> Figure:
    """A white figure of the given size in inches, without pyplot. `dpi` cannot be changed later: saving goes by it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained" if constrained else None)
    FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    if engine:
        engine.set(w_pad=0.02, h_pad=0.02)  # type: ignore[call-arg]
    return figure


def plain_axes(axes: Axes, theme: Theme, grid: str = "both") -> None:
    """No frame, no tick marks, a faint grid behind the data."""
    axes.tick_params(colors=theme.text, length=0, which="both", pad=2)
    axes.grid(True, axis=grid, color=theme.grid, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def better(heading: str) -> str:
    """A column's heading with its arrow in words: 'PSNR (dB) ↑' becomes 'PSNR (dB), ↑ better'."""
    return heading.replace(" ↑", ", ↑ better").replace(" ↓", ", ↓ better")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of a line of DejaVu Sans in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def shorten(text: str, size: float, width: float) -> str:
    """A line that is at most `width` points wide: the middle gives way to an ellipsis."""
    if text_width(text, size) <= width:
        return text
    for left_out in range(1, len(text) - 1):
        half = (len(text) - left_out + 1) // 2
        shorter = f"{text[:half]}…{text[half + left_out :]}"
        if text_width(shorter, size) <= width:
            return shorter
    return "…"
