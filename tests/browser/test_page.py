"""The report page in Chromium, opened from the disk: the table, curves, choices, hostile names, no script at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests import fake_run
from tests.fake_run import Fake

from .conftest import HOSTILE, Opener, write_report
from .test_viewer import state

pytestmark = pytest.mark.browser


def order(page: Any) -> list[str]:
    return page.eval_on_selector_all("table.results tbody tr:not(.inner) th", "cells => cells.map(c => c.dataset.sort)")


def row(page: Any, label: str) -> Any:
    return page.locator("table.results tbody tr").filter(has=page.locator(f"th[data-sort='{label}']"))


def test_sorts_by_click_and_by_keyboard(page: Any) -> None:
    assert order(page) == ["identity", "srn:rgb", "ifirnn:C2H3", "broken"]
    head = page.locator("table.results th button").nth(1)
    head.click()
    assert order(page) == ["srn:rgb", "ifirnn:C2H3", "identity", "broken"]  # best first; without a mean: last
    assert page.locator("table.results th").nth(1).get_attribute("aria-sort") == "descending"
    head.focus()
    page.keyboard.press("Enter")
    assert order(page) == ["identity", "ifirnn:C2H3", "srn:rgb", "broken"]
    assert page.locator("table.results th").nth(1).get_attribute("aria-sort") == "ascending"


def test_rows_open_into_clips_and_frames_and_move_with_their_method(page: Any) -> None:
    srn = row(page, "srn:rgb")
    srn.get_by_role("button", name="Clips of srn:rgb").click()
    inner = page.locator("tr.inner")
    assert [text.strip() for text in inner.locator("th").all_inner_texts()] == ["clip-01", HOSTILE, "clip-03"]
    means = [float(text) for text in inner.locator("td:nth-child(2)").all_inner_texts()]
    shown = float(srn.locator("td .value").first.inner_text())
    assert sum(means) / 3 == pytest.approx(shown, abs=0.011)  # clips of equal lengths
    page.get_by_role("button", name="Frames of clip-01 by srn:rgb").press("Enter")
    frames = page.locator("tr.frame-row")
    assert frames.count() == 7
    values = [float(text) for text in frames.locator("td:nth-child(2)").all_inner_texts()]
    assert sum(values) / 7 == pytest.approx(means[0], abs=0.011)
    page.locator("table.results thead th button").nth(1).click()
    assert order(page)[0] == "srn:rgb"
    assert page.locator("table.results tbody tr").nth(1).locator("th").inner_text().strip() == "clip-01"
    page.get_by_role("button", name="Frame 000008, open the picture").click()
    assert "srn:rgb" in page.inner_text("#viewer-stage .tag")
    page.keyboard.press("Escape")
    srn.get_by_role("button", name="Clips of srn:rgb").click()
    assert page.locator("tr.inner").count() == 0


def test_copies_the_table_in_three_notations(page: Any) -> None:
    page.evaluate("document.addEventListener('copy', () => { window.copied = String(document.activeElement.value); })")
    starts = {"LaTeX": "% needs \\usepackage{booktabs}", "Markdown": "| Method |", "CSV": "method,psnr"}
    for notation, start in starts.items():
        page.get_by_role("button", name=notation, exact=True).click()
        assert page.evaluate("window.copied").startswith(start)


def test_failed_row_opens_its_traceback(page: Any) -> None:
    failed = page.locator("tr.failed")
    assert "failed on 1 of 3 clips" in failed.inner_text()
    failed.locator("summary").click()
    assert "raise ValueError" in failed.locator("pre").inner_text()


def test_head_of_the_table_stays_in_view(page: Any) -> None:
    page.get_by_role("button", name="Clips of srn:rgb").click()
    page.get_by_role("button", name="Frames of clip-01 by srn:rgb").click()
    page.eval_on_selector("#results .scroll", "box => { box.style.maxHeight = '300px'; box.scrollTop = 200; }")
    box, head = (
        page.locator("#results .scroll").bounding_box(),
        page.locator("table.results thead th").nth(1).bounding_box(),
    )
    assert head["y"] == pytest.approx(box["y"], abs=2)


def test_hostile_names_are_text(page: Any) -> None:
    assert page.locator(f"article.clip h3:has-text('{HOSTILE}')").count() == 1
    page.locator("article.clip").nth(1).locator("button.open:visible").nth(1).click()
    assert page.locator("#viewer-clip option:checked").inner_text() == HOSTILE
    for key in "wsdecb":
        page.keyboard.press(key)
    page.keyboard.press("Escape")  # ends drawing a crop
    page.keyboard.press("Escape")
    page.locator("#frames").scroll_into_view_if_needed()
    page.locator(".curves figure:visible .u-over").nth(1).hover()
    assert page.locator("img[src='x']").count() == 0


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


def test_curves_tell_values_and_open_pictures(page: Any) -> None:
    page.locator("#frames").scroll_into_view_if_needed()
    plot = page.locator(".curves figure:visible .u-over").first
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 3.5 / 7, box["y"] + 60)  # 7 frames scored; the fourth is 000008
    tip = page.locator(".curves figure:visible .tip").first.inner_text()
    assert "frame 000008" in tip and "srn:rgb" in tip and "picture" in tip
    page.locator(".toggle").filter(has_text="srn:rgb").click()
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 2.5 / 7, box["y"] + 60)
    tip = page.locator(".curves figure:visible .tip").first.filter(has_text="frame 000007")
    tip.wait_for()  # the pointer is followed with the next picture of the screen
    assert "srn:rgb" not in tip.inner_text() and "picture" not in tip.inner_text()
    page.mouse.click(box["x"] + box["width"] * 2.5 / 7, box["y"] + 60)
    assert not page.locator("#viewer").is_visible()  # no picture of this frame
    page.mouse.click(box["x"] + box["width"] * 3.5 / 7, box["y"] + 60)
    assert page.locator("#viewer-frame option:checked").inner_text().split(" ")[0] == "000008"


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_no_sideways_scroll_of_the_page(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.get_by_role("button", name="Clips of srn:rgb").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_reads_without_scripts(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".moment:visible").count() == 9 and page.locator("[data-panel]:visible").count() == 4
    assert page.locator("#frames svg.drawn:visible").count() == 2 and page.locator(".curves:visible").count() == 0
    context.close()


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_the_first_screen_shows_a_picture_that_opens_the_viewer(
    open_page: Opener, report: Path, size: tuple[int, int]
) -> None:
    page = open_page(report, viewport={"width": size[0], "height": size[1]}, has_touch=size[0] < 500)
    links = page.locator("#difference a")
    assert links.evaluate_all("all => all.map(a => a.dataset.shown)") == [
        "identity", "srn:rgb", "ifirnn:C2H3", "ground truth",
    ]  # fmt: skip
    box = links.first.locator("img").bounding_box()
    assert box["y"] + box["height"] <= size[1] and box["width"] >= 100
    links.nth(1).click()
    assert page.locator("#viewer").is_visible() and page.locator("#viewer-stage .pane").count() == 4
    assert not page.locator("#viewer-notice").is_visible()


def test_plots_show_the_gain_and_values_on_request(page: Any) -> None:
    dots = page.locator("#clips .panel:visible figure.plotbox")
    assert dots.locator("visible=true").count() == 1 and dots.first.get_attribute("data-scaled") == "gain"
    page.locator("#frames").scroll_into_view_if_needed()
    box = page.locator(".curves figure:visible .plotted").first
    assert box.get_attribute("data-scale") == "gain"
    page.locator("#frames [data-scale=absolute]").click()
    assert box.get_attribute("data-scale") == "absolute" and not dots.first.is_visible() and dots.nth(1).is_visible()
    assert state(page)["scale"] == ["absolute"]
    page.reload()
    assert page.locator("#clips [data-scale=absolute]").get_attribute("aria-pressed") == "true"


def test_the_heat_map_opens_clips_from_five_methods_on(open_page: Opener, tmp_path: Path) -> None:
    methods = {"identity": 1.0, **{f"method{n}": 0.9 - n * 0.1 for n in range(5)}}
    fake = Fake(methods=methods, pictures=True, clips=("one", "two", "three"), size=(96, 64))
    page = open_page(write_report(fake_run.write(tmp_path / "run", fake), tmp_path / "report"))
    heat = page.locator("#clips table.heat:visible")
    assert heat.locator("thead th").all_inner_texts()[1:] == [f"method{n}" for n in (4, 3, 2, 1, 0)]
    rows = [[float(text) for text in row.locator("td").all_inner_texts()] for row in heat.locator("tbody tr").all()]
    gains = [sum(row) for row in rows]
    assert gains == sorted(gains, reverse=True) and min(map(min, rows)) > 0
    heat.locator("a").nth(1).click()
    assert page.locator("#viewer").is_visible() and "method3" in page.inner_text("#viewer-stage .tag")


def test_where_it_fails_lists_the_least_gains_first(page: Any) -> None:
    gains = [float(text.split(" ")[0]) for text in page.locator("#fails .failure strong").all_inner_texts()]
    assert len(gains) == 6 and gains == sorted(gains)
    page.locator("#fails a.failure").first.click()
    assert page.get_by_role("slider").count() == 1


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_saved_plot_stands_alone(page: Any, kind: str) -> None:
    with page.expect_download() as saving:
        page.locator("#runtime .saves button", has_text=kind.upper()).click()
    file = Path(saving.value.path())
    assert saving.value.suggested_filename == f"psnr-against-seconds-per-frame.{kind}"
    if kind == "png":
        with Image.open(file) as image:
            assert image.width > 1500 and len(image.convert("RGB").getcolors(10**6)) > 20
    else:
        root = ElementTree.parse(file).getroot()
        text = file.read_text(encoding="utf-8")
        assert root.get("width") and "var(" not in text and "srn:rgb" in text


def test_printing_gives_the_shown_moments_once(page: Any) -> None:
    page.locator("article.clip .choice.frames button").nth(2).click()
    page.emulate_media(media="print")
    assert page.locator(".moment:visible").count() == 3  # one a clip
    assert page.locator("article.clip").first.locator(".moment:visible").get_attribute("data-frame") == "000010"
    assert page.locator("[data-panel]:visible").count() == 2 and page.locator("#frames svg.drawn:visible").count() == 1
    for gone in ("nav", ".choice", ".curves", ".saves", ".copies"):
        assert page.locator(f"{gone}:visible").count() == 0, gone
    pages = page.pdf(format="A4").count(b"/Type /Page\n")
    assert 0 < pages <= 10


def test_targets_are_large_enough_on_a_phone(open_page: Opener, report: Path) -> None:
    page = open_page(report, viewport={"width": 390, "height": 844}, has_touch=True)
    small = "all => all.filter(e => e.offsetParent && e.getBoundingClientRect().height < 39.5).map(e => e.outerHTML)"
    assert page.eval_on_selector_all("main button, nav a", small) == []
    page.locator("#difference a").first.click()
    assert page.eval_on_selector_all("#viewer button, #viewer select", small) == []
    clip = page.locator("#viewer-clip").bounding_box()
    assert clip["width"] > 150
