"""The report page in Chromium, opened from the disk: it sorts, flips, wipes, zooms, and reports no error."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deblurbench.rooms import plugin
from tests import fake_run
from tests.fake_run import Fake

pytestmark = pytest.mark.browser
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = os.environ.get("DEBLURBENCH_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not executable:
        pytest.skip("Chromium is not installed (DEBLURBENCH_CHROMIUM may name it)")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything: pictures, a failed method, a hostile clip name."""
    folder = tmp_path_factory.mktemp("browser")
    methods = {"identity": 1.0, "ifirnn:C2H3": 0.55, "srn:rgb": 0.5, "broken": 0.7}
    fake = Fake(methods=methods, pictures=True, clips=("clip-01", HOSTILE, "clip-03"), failed={"broken": "clip-03"})
    found = plugin("reports", "gallery")
    return found.load()(found.card).write([fake_run.write(folder / "run", fake)], folder / "report")[0]


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The page, opened from the disk; any console error, failed request or dialog fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url))
    page.on("request", lambda r: faults.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
    page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    page.goto(report.as_uri())
    yield page
    context.close()
    assert faults == []


def order(page: Any) -> list[str]:
    return page.eval_on_selector_all("table.results tbody th", "cells => cells.map(c => c.dataset.sort)")


def open_viewer(page: Any, label: str = "ifirnn:C2H3", clip: str = "clip-01") -> None:
    article = page.locator("article.clip").filter(has_text=clip).first
    article.locator(".moment:not([hidden]) figure.shot").filter(has_text=label).locator("button.open").click()


def source(page: Any, image: str = "a") -> str:
    return page.get_attribute(f"#viewer-{image}", "src")


def test_sorts_by_click_and_by_keyboard(page: Any) -> None:
    assert order(page) == ["identity", "ifirnn:C2H3", "srn:rgb", "broken"]
    head = page.locator("table.results th button").nth(1)
    head.click()
    assert order(page) == ["srn:rgb", "ifirnn:C2H3", "identity", "broken"]  # best first; without a mean: last
    assert page.locator("table.results th").nth(1).get_attribute("aria-sort") == "descending"
    head.focus()
    page.keyboard.press("Enter")
    assert order(page) == ["identity", "ifirnn:C2H3", "srn:rgb", "broken"]
    assert page.locator("table.results th").nth(1).get_attribute("aria-sort") == "ascending"


def test_failed_row_opens_its_traceback(page: Any) -> None:
    row = page.locator("tr.failed")
    assert "failed on 1 of 3 clips" in row.inner_text()
    row.locator("summary").click()
    assert "raise ValueError" in row.locator("pre").inner_text()


def test_hostile_names_are_text(page: Any) -> None:
    assert page.locator(f"article.clip h3:has-text('{HOSTILE}')").count() == 1
    assert page.locator("img[src='x']").count() == 0
    open_viewer(page, clip=HOSTILE)
    assert page.inner_text("#viewer-clip") == HOSTILE


def test_all_pictures_load(page: Any) -> None:
    page.eval_on_selector_all("article img", "images => images.forEach(i => { i.loading = 'eager'; })")
    page.evaluate("Promise.allSettled(Array.from(document.querySelectorAll('article img')).map(i => i.decode()))")
    broken = page.eval_on_selector_all("img", "images => images.filter(i => i.src && !i.naturalWidth).map(i => i.src)")
    assert broken == []


def test_metric_frame_and_method_choices(page: Any) -> None:
    panels = page.locator("[data-panel=clips]")
    assert panels.nth(0).is_visible() and not panels.nth(1).is_visible()
    page.locator("[data-choice=clips] button").nth(1).click()
    assert panels.nth(1).is_visible() and not panels.nth(0).is_visible()
    article = page.locator("article.clip").first
    article.locator(".choice.frames button").nth(2).click()
    assert article.locator(".moment:visible").get_attribute("data-frame") == "000010"
    page.locator(".toggle").filter(has_text="srn:rgb").click()
    assert page.locator("svg [data-method='srn:rgb']:visible").count() == 0
    assert page.locator("svg [data-method='ifirnn:C2H3']:visible").count() > 0


def test_viewer_flips_by_key_steps_frames_and_closes(page: Any) -> None:
    open_viewer(page)
    assert page.locator("#viewer").is_visible()
    first = source(page)
    assert "000008-ifirnn-C2H3" in first
    page.keyboard.press("1")
    assert "000008-identity" in source(page)
    page.keyboard.press("4")
    assert "000008-broken" in source(page)
    page.keyboard.press("5")
    assert "ground-truth" in source(page)
    page.keyboard.press("2")
    page.keyboard.down("Shift")
    assert "ground-truth" in source(page)
    page.keyboard.up("Shift")
    assert source(page) == first
    page.keyboard.press("ArrowRight")
    assert "000010-ifirnn-C2H3" in source(page) and "000010" in page.inner_text("#viewer-frame")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#viewer-clip") == HOSTILE
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    assert page.evaluate("document.activeElement.classList.contains('open')")


def test_viewer_wipes_by_key_and_by_pointer(page: Any) -> None:
    open_viewer(page)
    page.keyboard.press("w")
    assert page.locator("#viewer-b").is_visible() and page.locator("#viewer-line").is_visible()
    before = page.evaluate("document.getElementById('viewer-b').style.clipPath")
    page.keyboard.press(".")
    assert page.evaluate("document.getElementById('viewer-b').style.clipPath") != before
    box = page.locator("#viewer-stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + 50)
    assert float(page.input_value("#viewer-slider")) == pytest.approx(25, abs=0.6)
    page.select_option("#viewer-right", "srn:rgb")
    assert "srn-rgb" in source(page, "b")
    page.keyboard.press("w")
    assert not page.locator("#viewer-b").is_visible()


def test_error_map_of_the_ground_truth_is_black(page: Any) -> None:
    open_viewer(page, "Ground truth")
    page.keyboard.press("e")
    assert source(page) == source(page, "b")
    assert page.evaluate("getComputedStyle(document.getElementById('viewer-b')).mixBlendMode") == "difference"


def test_viewer_zooms_with_nearest_neighbour_and_pans(page: Any) -> None:
    open_viewer(page)
    transform = "document.getElementById('viewer-plane').style.transform"
    fitted = page.evaluate(transform)
    page.keyboard.press("+")
    assert page.inner_text("#viewer-zoom").endswith("%") and page.evaluate(transform) != fitted
    assert page.evaluate("getComputedStyle(document.getElementById('viewer-a')).imageRendering") == "pixelated"
    box = page.locator("#viewer-stage").bounding_box()
    zoomed = page.evaluate(transform)
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 340, box["y"] + 210)
    page.mouse.up()
    assert page.evaluate(transform) != zoomed
    page.keyboard.press("0")
    assert page.evaluate(transform) == fitted


def test_a_frame_of_the_curves_opens_its_picture(page: Any) -> None:
    page.locator(".panel:visible .curves figure").first.locator(".band.pictured rect").nth(1).click()
    assert page.locator("#viewer").is_visible() and "000008" in page.inner_text("#viewer-frame")


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_no_sideways_scroll_of_the_page(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_reads_without_scripts(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".moment:visible").count() == 9 and page.locator("[data-panel]:visible").count() == 4
    context.close()
