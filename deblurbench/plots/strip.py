"""The comparison strip of papers: the whole frame with a marked window, and that window by every method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deblurbench.frames.convert import Frame8
from deblurbench.plots.crops import Crop
from deblurbench.plots.layout import LINE, Layout, Place, arrange
from deblurbench.plots.style import Theme, new_figure, shorten, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = 7.5  # points of the text under the crops
MARK = "#ffd500"
WIDEST_NAME = 84.0  # points that a name may claim before it is shortened
SEPARATOR = " / "


@dataclass(frozen=True)
class Shot:
    """One picture, (H, W, 3) uint8: its name, the values under it as printed, and which of them are the best."""

    label: str
    image: Frame8
    values: tuple[str, ...] = ()
    best: tuple[bool, ...] = ()


def strip(shots: Sequence[Shot], whole: Frame8, crop: Crop, caption: str, width: float) -> Figure:
    """Draw the strip: `whole` with `crop` marked, the shots' crops on its right, or below it where that fits better.

    Crops are magnified by a whole factor, each pixel a square: in the PNG exactly, in PDF and SVG by embedding the
    magnified pixels. `width` is in inches. All images have the same size.

    Raises:
        UsageError: the crop is too large for this width.
    """
    layout = arrange(len(shots), whole.shape[1::-1], (crop.width, crop.height), width, _needed(shots))
    figure = new_figure(layout.width / layout.dpi, layout.height / layout.dpi, constrained=False, dpi=layout.dpi)
    _picture(figure, layout, layout.frame, _fit(whole, layout.frame))
    _mark(figure, layout, crop, whole)
    line = shorten(caption, SIZE, layout.frame.width * 72 / layout.dpi)
    _text(figure, layout, layout.frame, 0, line)
    for shot, place in zip(shots, layout.crops, strict=True):
        _picture(figure, layout, place, magnify(crop.cut(shot.image), layout.factor))
        _text(figure, layout, place, 0, shorten(shot.label, SIZE, layout.cell * 72 / layout.dpi))
        _values(figure, layout, place, shot)
    return figure


def magnify(image: Frame8, factor: int) -> Frame8:
    """Each pixel as `factor` x `factor` pixels."""
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)


def marked(layout: Layout, crop: Crop, whole: Frame8) -> Place:
    """Where the crop lies on the whole frame, in pixels of the figure."""
    scale = layout.frame.width / whole.shape[1]
    left, top = layout.frame.x + round(crop.x * scale), layout.frame.y + round(crop.y * scale)
    return Place(left, top, max(2, round(crop.width * scale)), max(2, round(crop.height * scale)))


def _needed(shots: Sequence[Shot]) -> dict[int, float]:
    """Points of width that the texts take: values in one line (2 lines with the name), or each in its own."""
    names = min(WIDEST_NAME, max(text_width(shot.label, SIZE) for shot in shots))
    together = max(text_width(SEPARATOR.join(shot.values), SIZE, bold=any(shot.best)) for shot in shots)
    apart = max((text_width(v, SIZE, bold=True) for shot in shots for v in shot.values), default=0)
    count = max(len(shot.values) for shot in shots)
    if count < 2:
        return {1 + count: max(names, apart)}
    return {2: max(names, together), 1 + count: max(names, apart)}


def _fit(whole: Frame8, place: Place) -> Frame8:
    """The whole frame in the pixels that it takes in the figure (Lanczos); it serves as an overview only."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(whole))
    return np.asarray(image.resize((place.width, place.height), Image.Resampling.LANCZOS), np.uint8)


def _picture(figure: Figure, layout: Layout, place: Place, image: Frame8) -> None:
    """Put an image whose size is that of its place, pixel on pixel."""
    bottom = layout.height - place.y - place.height
    wide, high = layout.width, layout.height
    axes = figure.add_axes((place.x / wide, bottom / high, place.width / wide, place.height / high))
    axes.set_axis_off()
    axes.imshow(image, interpolation="none", aspect="auto")


def _mark(figure: Figure, layout: Layout, crop: Crop, whole: Frame8) -> None:
    """A yellow frame with a dark line around it, seen on any ground; its inner edge is the crop's border."""
    from matplotlib.patches import Rectangle

    unit = layout.dpi / 72
    inner = marked(layout, crop, whole)
    for colour, out, thick in (("black", 1.2, 0.5), (MARK, 0.5, 1.0)):
        grow = out * unit
        x, y = inner.x - grow, layout.height - inner.y - inner.height - grow
        box = ((x / layout.width, y / layout.height), (inner.width + 2 * grow) / layout.width,
               (inner.height + 2 * grow) / layout.height)  # fmt: skip
        figure.add_artist(Rectangle(*box, fill=False, edgecolor=colour, linewidth=thick, joinstyle="miter"))


def _text(figure: Figure, layout: Layout, place: Place, line: int, text: str, **more: Any) -> None:
    x, y = _position(layout, place, line)
    figure.text(x, y, text, ha="center", va="baseline", fontsize=SIZE, color=Theme().text, parse_math=False, **more)


def _position(layout: Layout, place: Place, line: int) -> tuple[float, float]:
    """Figure fraction of the middle of the baseline of a line of text under a picture."""
    down = (LINE * (line + 1) - 1) * layout.dpi / 72
    return (place.x + place.width / 2) / layout.width, 1 - (place.y + place.height + down) / layout.height


def _values(figure: Figure, layout: Layout, place: Place, shot: Shot) -> None:
    best = shot.best or (False,) * len(shot.values)
    weights = ["bold" if one else "normal" for one in best]
    if layout.lines == 1 + len(shot.values):
        for line, (value, weight) in enumerate(zip(shot.values, weights, strict=True), 1):
            _text(figure, layout, place, line, value, fontweight=weight)
    elif shot.values:
        _values_in_a_line(figure, layout, place, shot.values, weights)


def _values_in_a_line(
    figure: Figure, layout: Layout, place: Place, values: Sequence[str], weights: Sequence[str]
) -> None:
    """Values side by side around the middle, as they may differ in weight."""
    x, y = _position(layout, place, 1)
    words = [(v, w) for pair in zip(values, weights, strict=True) for v, w in (pair, (SEPARATOR, "normal"))][:-1]
    widths = [text_width(word.replace(" ", "\N{NO-BREAK SPACE}"), SIZE, weight == "bold") for word, weight in words]
    points = layout.width * 72 / layout.dpi
    left = x - sum(widths) / 2 / points
    for (word, weight), wide in zip(words, widths, strict=True):
        figure.text(left, y, word, ha="left", va="baseline", fontsize=SIZE, color=Theme().text, fontweight=weight,
                    parse_math=False)  # fmt: skip
        left += wide / points
