"""The viewer's keys work whatever had the focus; addresses are restored, and what they lack is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import fake_run
from tests.fake_run import Fake

from .conftest import Opener, write_report
from .test_viewer import PLANE, open_viewer, shown, sources, state

pytestmark = pytest.mark.browser
COLOUR_AT_80_45 = """image => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: 160, height: 90 });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return [...context.getImageData(80, 45, 1, 1).data].slice(0, 3);
}"""
CROPS_MEASURED = "count => [...document.querySelectorAll('#viewer-crops .own')]" \
    ".filter(e => e.textContent.startsWith('crop')).length === count"  # fmt: skip


@pytest.fixture(scope="module")
def eleven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of eleven methods; the last is the best."""
    folder = tmp_path_factory.mktemp("eleven")
    methods = {"identity": 1.0, **{f"method{n:02d}": 0.9 - n * 0.05 for n in range(11)}}
    fake = Fake(methods=methods, pictures=True, clips=("one", "two"), size=(160, 90))
    return write_report(fake_run.write(folder / "run", fake), folder / "report")


def drag_the_wipe(page: Any) -> None:
    page.keyboard.press("w")
    box = page.locator("#viewer-stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 50
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 120, y, steps=3)
    page.mouse.up()


def click_a_method(page: Any) -> None:
    page.locator("#viewer-methods button").nth(2).click()


def vote(page: Any) -> None:
    page.keyboard.press("b")
    page.locator("#viewer-votes button").first.click()
    page.keyboard.press("b")


def choose_a_clip(page: Any) -> None:
    page.select_option("#viewer-clip", "2")
    page.select_option("#viewer-frame", "1")


def choose_a_metric(page: Any) -> None:
    page.select_option("#viewer-metric", "ssim")


def leave_the_focus_nowhere(page: Any) -> None:
    page.evaluate("document.activeElement.blur()")


def type_a_crop(page: Any) -> None:
    page.keyboard.press("c")
    page.fill("[data-crop=x]", "12")
    page.locator("#viewer-stage").click(position={"x": 5, "y": 5})


BEFORE = [
    drag_the_wipe, click_a_method, vote, choose_a_clip, choose_a_metric, leave_the_focus_nowhere, type_a_crop,
]  # fmt: skip


@pytest.mark.parametrize("before", BEFORE, ids=lambda f: f.__name__)
def test_keys_work_after_the_mouse(page: Any, before: Callable[[Any], None]) -> None:
    open_viewer(page)
    before(page)
    page.keyboard.press("f")
    assert page.locator("[data-mode=flip]").get_attribute("aria-pressed") == "true"
    page.keyboard.press("1")
    assert shown(page)[0].endswith("-identity")
    first = page.locator("#viewer-frame").input_value()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#viewer-frame").input_value() == str((int(first) + 2) % 3)
    page.keyboard.press("w")
    assert page.get_by_role("slider").count() == 1
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()


def test_a_list_in_focus_takes_its_arrows_and_no_letters(page: Any) -> None:
    open_viewer(page)
    page.locator("#viewer-frame").focus()
    page.keyboard.press("w")
    assert page.get_by_role("slider").count() == 1
    frame = page.locator("#viewer-clip").input_value()
    page.keyboard.press("ArrowDown")
    assert page.locator("#viewer-clip").input_value() == frame  # the next frame, not the next clip


def test_keys_reach_every_method_the_truth_and_back(open_page: Opener, eleven: Path) -> None:
    page = open_page(eleven)
    open_viewer(page, "method00", "one")
    for keys, name in (
        ("x", "ground-truth"),
        ("zz", "method01"),
        ("z", "method02"),
        ("m12", "method00"),
        ("9", "method03"),
    ):
        for key in keys:
            page.keyboard.press(key)
        assert shown(page) == [f"000008-{name}"], keys
    page.keyboard.press("t")
    assert shown(page) == ["000008-ground-truth"]
    page.keyboard.press("t")
    assert shown(page) == ["000008-method03"]
    page.keyboard.press("PageUp")
    assert shown(page) == ["000008-method04"]


def test_side_by_side_takes_the_best_and_error_maps_share_a_scale(open_page: Opener, eleven: Path) -> None:
    page = open_page(eleven)
    open_viewer(page, "method00", "one")
    page.keyboard.press("s")
    best = ["identity", "method10", "method09", "method08", "method07"]
    assert shown(page) == [f"000008-{name}" for name in (*best, "ground-truth")]
    page.keyboard.press("a")
    assert shown(page) == [f"000008-{name}+000008-ground-truth" for name in best]
    filters = page.eval_on_selector_all("#viewer-stage .plane", "all => [...new Set(all.map(p => p.style.filter))]")
    assert filters == ['url("#viewer-heat")'] and page.locator("#viewer-heat-scale").is_visible()


def test_pictures_fill_the_stage_and_keys_size_them(open_page: Opener, eleven: Path) -> None:
    page = open_page(eleven, viewport={"width": 1440, "height": 900})
    open_viewer(page, "method00", "one")
    stage, plane = page.locator("#viewer-stage"), page.locator("#viewer-stage .plane")

    def sizes() -> tuple[dict[str, float], dict[str, float]]:
        return stage.bounding_box(), plane.bounding_box()

    box, picture = sizes()
    assert picture["height"] == pytest.approx(box["height"], abs=1) or picture["width"] == pytest.approx(
        box["width"], abs=1
    )
    assert page.eval_on_selector("#viewer-stage img", "i => getComputedStyle(i).imageRendering") == "pixelated"
    page.keyboard.press("p")
    box, picture = sizes()
    assert picture["width"] >= box["width"] - 1 and picture["height"] >= box["height"] - 1
    page.keyboard.press("o")
    assert sizes()[1]["width"] == pytest.approx(160, abs=0.1)
    page.keyboard.press("0")
    assert page.inner_text("#viewer-zoom") == "fit" and "scale" in page.evaluate(PLANE)
    page.keyboard.press("u")
    page.wait_for_function("() => document.fullscreenElement !== null")
    page.keyboard.press("2")
    assert shown(page) == ["000008-method10"]


def test_the_wipe_of_an_address_is_restored(open_page: Opener, report: Path) -> None:
    page = open_page(report, "#clip=clip-01&frame=000008&mode=wipe&show=srn:rgb&wipe=30")
    assert page.get_by_role("slider").get_attribute("aria-valuenow") == "30"
    assert state(page)["wipe"] == ["30"]


def test_an_address_says_what_the_report_lacks(open_page: Opener, report: Path) -> None:
    page = open_page(report, "#clip=clip-01&frame=000007&show=gone&mode=side")
    notice = page.inner_text("#viewer-notice")
    assert "no picture of frame 000007: 000006 is the nearest" in notice and "no picture by gone" in notice
    page.keyboard.press("ArrowRight")
    assert not page.locator("#viewer-notice").is_visible()
    page = open_page(report, "#clip=lost&frame=000007&sort=none,up&off=nobody")
    assert not page.locator("#viewer").is_visible()
    assert page.locator("#notice").is_visible()


def test_sort_metric_and_hidden_methods_are_restored(open_page: Opener, report: Path) -> None:
    page = open_page(report)
    page.locator("table.results th button").nth(2).click()
    page.locator("[data-choice=clips] button").nth(1).click()
    page.locator(".toggle").filter(has_text="srn:rgb").click()
    wanted = {"sort": ["ssim,down"], "metric": ["ssim"], "off": ["srn:rgb"]}
    assert state(page) == wanted
    page.reload()
    assert page.locator("table.results th[data-key=ssim]").get_attribute("aria-sort") == "descending"
    assert page.locator("[data-panel=frames][data-key=ssim]").is_visible()
    assert page.locator("svg [data-method='srn:rgb']:visible").count() == 0
    open_viewer(page)
    page.select_option("#viewer-metric", "ssim")
    both = state(page)
    assert both["curve"] == ["ssim"] and wanted.items() <= both.items()
    page.reload()
    assert page.locator("#viewer-metric").input_value() == "ssim" and state(page) == both


def test_colours_under_the_pointer_and_the_psnr_of_a_crop(open_page: Opener, eleven: Path, tmp_path: Path) -> None:
    from deblurbench.reports.inlining import inline

    inline(eleven, tmp_path / "one.html")
    page = open_page(tmp_path / "one.html")
    open_viewer(page, "method10", "one")
    box = page.locator("#viewer-stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function("() => document.querySelectorAll('#viewer-readout span').length === 1")
    text = page.inner_text("#viewer-readout")
    assert "x 80, y 45" in text and len(sources(page)) == 1
    colour = page.eval_on_selector("#viewer-stage img.one", COLOUR_AT_80_45)
    assert " ".join(map(str, colour)) in text
    page.keyboard.press("c")
    page.wait_for_function(CROPS_MEASURED, arg=13)
