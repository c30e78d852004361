"""One set of marks everywhere: colours told apart by everybody, twenty methods that differ, the same on the page."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from deblurbench import tables
from deblurbench.plots import web
from deblurbench.plots.clips import Series, clips
from deblurbench.plots.runtime import Point, pareto
from deblurbench.plots.selection import select
from deblurbench.plots.style import COLOURS, ON_DARK, Look, looks, marker_path
from tests import fake_run
from tests.fake_run import Fake

SIGHT = {  # Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
    "normal": np.eye(3),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881],
    ]),
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
    ]),
}  # fmt: skip
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
SEEN = {"normal": 25, "deuteranopia": 12, "protanopia": 8}  # CIE76; 2.3 is just noticeable


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(colour: str, sight: str) -> np.ndarray:
    """CIE L*a*b* of a colour as somebody sees it."""
    xyz = XYZ @ np.clip(SIGHT[sight] @ linear(colour), 0, 1) / np.array([0.95047, 1.0, 1.08883])
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def distance(one: str, two: str, sight: str) -> float:
    return float(np.linalg.norm(lab(one, sight) - lab(two, sight)))


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("palette", [COLOURS, ON_DARK], ids=["light", "dark"])
def test_colours_are_told_apart_by_everybody(palette: tuple[str, ...], sight: str) -> None:
    nearest = min((distance(one, two, sight), one, two) for one, two in itertools.combinations(palette, 2))
    assert nearest[0] >= SEEN[sight], nearest


@pytest.mark.parametrize(("palette", "ground"), [(COLOURS, "#ffffff"), (ON_DARK, "#1a1e23")], ids=["light", "dark"])
def test_colours_stand_out_from_their_ground(palette: tuple[str, ...], ground: str) -> None:
    def luminance(colour: str) -> float:
        return float(XYZ[1] @ linear(colour))

    for colour in palette:
        low, high = sorted((luminance(colour), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 3, colour  # what WCAG asks of graphics


def test_twenty_methods_differ_in_every_pair() -> None:
    labels = ["identity", *(f"method{n:02d}" for n in range(20))]
    found = looks(labels, "identity")
    for one, two in itertools.combinations(labels, 2):
        a, b = found[one], found[two]
        assert a.marker != b.marker or distance(a.colour, b.colour, "deuteranopia") >= SEEN["deuteranopia"], (one, two)
        assert a.dashes != b.dashes or distance(a.colour, b.colour, "deuteranopia") >= SEEN["deuteranopia"], (one, two)
    assert len({(look.colour, look.marker, look.dashes) for look in found.values()}) == 21


def test_page_and_figures_share_their_marks(tmp_path: Path) -> None:
    methods = {"identity": 1.0, "c:x": 0.7, "b": 0.5, "a": 0.6, "d": 0.4}
    run = fake_run.write(tmp_path / "run", Fake(methods=methods, clips=("one",)))
    from deblurbench.reports.gallery import data, palette

    table = tables.build([run])
    page = palette.styles(table)
    script = data.script(table, page, tmp_path).decode()
    listed = {m["label"]: m for m in json.loads(script.partition(" = ")[2].rstrip(";\n"))["methods"]}
    for wanted in (None, ["a"], ["d", "b"]):  # a figure of some methods has the marks of all
        selection = select(run, wanted, None)
        for row in selection.rows:
            figure = selection.looks[selection.label(row)]
            assert figure == page[row.label]
            assert listed[row.label]["marker"] == marker_path(figure.marker)
            assert listed[row.label]["colour"] == figure.number
            assert listed[row.label]["dash"] == [pytest.approx(2 * length) for length in figure.dashes[1]]
            assert marker_path(figure.marker) in palette.swatch(figure)


def test_figures_in_a_page_follow_its_theme_and_policy() -> None:
    series = [Series("<b>", [1.0, 2.0], 1.5, None, "1.50"), Series("two", [1.5, None], 1.5, None, "1.50")]
    styles = looks(["<b>", "two"], "<b>")
    drawn = web.inline(lambda: clips(["x", "y"], series, "PSNR", styles, 4.0, web.THEME), "clips", 'a "label"')
    assert drawn == web.inline(lambda: clips(["x", "y"], series, "PSNR", styles, 4.0, web.THEME), "clips", 'a "label"')
    assert " style=" not in drawn and "<style" not in drawn and "<b>" not in drawn
    assert 'role="img" aria-label="a &quot;label&quot;"' in drawn and "var(--s0)" in drawn and "var(--s1)" in drawn
    assert "#0" not in drawn.replace('"#', "").replace("url(#", "")  # no colour is left that a theme could not change
    assert drawn.count('data-method="two"') == 2 and "<title>two, x: 1.5</title>" in drawn


def test_the_step_line_joins_what_nothing_beats() -> None:
    points = [Point("a", 1.0, 30.0), Point("b", 2.0, 29.0), Point("c", 3.0, 31.0), Point("d", 1.0, 28.0)]
    assert pareto(points) == [(1.0, 30.0), (3.0, 31.0)]
    assert pareto(points, higher_is_better=False) == [(1.0, 28.0)]
    assert Look(COLOURS[3]).number == 3
