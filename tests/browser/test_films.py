"""Films in the viewer: exact frames, in step, looping, through wipe and zoom, and slices through time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deblurbench.frames.images import read_frame
from deblurbench.results.run import Run
from tests import fake_run
from tests.fake_run import Fake

from .conftest import Opener, write_report
from .test_access import violations

pytestmark = pytest.mark.browser
READY = "() => document.querySelectorAll('#viewer-stage canvas:not([hidden])').length > 0"
PIXELS = """canvas => {
    const copy = document.createElement("canvas");
    Object.assign(copy, { width: canvas.width, height: canvas.height });
    const context = copy.getContext("2d");
    context.drawImage(canvas, 0, 0);
    return [canvas.width, canvas.height, ...context.getImageData(0, 0, canvas.width, canvas.height).data];
}"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that kept every frame."""
    fake = Fake(pictures=True, every=True, frames=14, size=(96, 64), clips=("clip-01", "clip-02"))
    return fake_run.write(tmp_path_factory.mktemp("films") / "run", fake)


@pytest.fixture(scope="module")
def one_file(run: Run) -> Path:
    """Its report as one file, in which scripts may read the pixels of a film."""
    from deblurbench.reports.inlining import inline

    page = write_report(run, run.folder / "report")
    inline(page, page.with_name("one.html"))
    return page.with_name("one.html")


def canvases(page: Any) -> list[np.ndarray]:
    found = []
    for canvas in page.locator("#viewer-stage canvas:not([hidden])").all():
        width, height, *values = canvas.evaluate(PIXELS)
        found.append(np.array(values, np.uint8).reshape(height, width, 4)[..., :3])
    return found


def open_film(page: Any) -> None:
    page.locator("article.clip .moment:not([hidden]) figure.shot button.open").nth(1).click()
    page.keyboard.press(" ")
    page.wait_for_function(READY, timeout=60_000)


def test_a_film_plays_loops_and_shows_exact_frames(open_page: Opener, run: Run, one_file: Path) -> None:
    page = open_page(one_file)
    open_film(page)
    seen = "() => { (window.seen = window.seen || new Set()).add(document.getElementById('viewer-frame').value);" \
        " return window.seen.size === 14; }"  # fmt: skip
    page.wait_for_function(seen, timeout=60_000)  # past the last frame and on from the first
    page.keyboard.press(" ")
    page.keyboard.press("w")
    place = int(page.locator("#viewer-frame").input_value())
    page.keyboard.press("ArrowRight")
    stem = f"{(place + 1) % 14 + 1:06d}"
    shown = canvases(page)
    files = [run.frames(method, "clip-01")[stem] for method in ("ifirnn:C2H3", "identity")]
    assert len(shown) == 2
    for picture, file in zip(shown, files, strict=True):
        assert np.array_equal(picture, read_frame(file))
    page.keyboard.press("g")
    assert (
        page.locator("#viewer-stage canvas:visible").count() == 0 and page.locator("#viewer-frame option").count() < 14
    )


def test_a_slice_through_time_is_one_row_of_every_frame(open_page: Opener, run: Run, one_file: Path) -> None:
    page = open_page(one_file, "#clip=clip-01&frame=000003&film=1")
    page.wait_for_function(READY, timeout=60_000)
    assert page.locator("#viewer-frame option:checked").inner_text() == "000003"
    page.keyboard.press("y")
    page.wait_for_function("() => document.querySelectorAll('#viewer-stage .pane').length === 4")
    page.keyboard.press(".")
    first = canvases(page)[0]
    rows = np.stack([read_frame(file)[34] for file in run.frames("identity", "clip-01").values()])
    assert np.array_equal(first[:: first.shape[0] // 14], rows)
    assert violations(page, "#viewer") == []


def test_flicker_stands_beside_the_truth(open_page: Opener, one_file: Path) -> None:
    page = open_page(one_file)
    flicker = page.locator("article.player:not([hidden]) svg.drawn")
    assert flicker.count() == 1 and "flicker" in flicker.get_attribute("aria-label")
    for label in ("identity", "srn:rgb", "ground truth"):
        assert flicker.locator(f"[data-method='{label}']").count() == 1
    page.locator("article.player:not([hidden]) a", has_text="Open the film in the viewer").click()
    page.wait_for_function(READY, timeout=60_000)
