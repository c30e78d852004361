"""How figures for papers look, and how they become the same bytes every time.

Colours follow Okabe and Ito's palette (2008), which people with the common colour vision deficiencies can tell apart;
without its yellow. Markers and dashes change from method to method, so that a grey print stays legible. Text is DejaVu
Sans, which comes with matplotlib, 8 points; PDFs embed it as TrueType, SVGs hold its outlines.
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

COLOURS = ("#6b7280", "#0072b2", "#c84e00", "#00805d", "#a8518a", "#a87400", "#2f8fc4")
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
    """How a method is drawn: a colour, a marker, a dash pattern in matplotlib's form."""

    colour: str
    marker: str = "o"
    dashes: tuple[int, tuple[float, ...]] = DASHES[0]


@dataclass(frozen=True)
class Theme:
    """Colours and sizes of everything that is not a method; the defaults are those of a printed page."""

    text: str = "#1f2328"
    grid: str = "#e3e5e8"
    reference: str = COLOURS[0]
    label_size: float = SMALL
    marker_size: float = 5.0


@dataclass
class Rendered:
    """A figure as bytes, and the characters that the font lacks (they are drawn as boxes)."""

    data: bytes
    lacking: list[str] = field(default_factory=list)


def looks(labels: Sequence[str], reference: str) -> dict[str, Look]:
    """A look for every label: grey for the reference, 42 different ones for the others, then again from the start."""
    found = {}
    others = [label for label in labels if label != reference]
    for number, label in enumerate(others):
        colour = COLOURS[1 + number % (len(COLOURS) - 1)]
        found[label] = Look(colour, MARKERS[number % len(MARKERS)], DASHES[number % len(DASHES)])
    return {label: found.get(label, Look(COLOURS[0], "x", DASHES[2])) for label in labels}


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
