"""Everybody can use the page: axe-core finds nothing serious, the keyboard alone is enough, a phone is wide enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import fake_run
from tests.fake_run import Fake

from .conftest import HOSTILE, Opener, write_report

pytestmark = pytest.mark.browser
AXE = Path(__file__).parent / "vendor/axe.min.js"


def violations(page: Any, within: str = "html") -> list[str]:
    """What axe-core finds within an element, with the elements at fault."""
    page.evaluate(AXE.read_text(encoding="utf-8"))  # a script tag would be refused by the page's policy
    found = page.evaluate(f"axe.run('{within}', {{ resultTypes: ['violations'], preload: false }})")["violations"]
    return [f"{v['id']}: {v['help']}: {[n['html'][:160] for n in v['nodes'][:3]]}" for v in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: Opener, report: Path, scheme: str) -> None:
    page = open_page(report, color_scheme=scheme)
    page.get_by_role("button", name="Clips of srn:rgb").click()
    page.get_by_role("button", name="Frames of clip-01 by srn:rgb").click()
    assert violations(page) == []
    page.get_by_role("button", name="Frame 000008, open the picture").click()
    for keys in ("wc", "e?", "?bsr"):
        for key in keys:
            page.keyboard.press(key)
        assert violations(page, "#viewer") == [], keys


def test_axe_finds_a_fault_that_is_there(page: Any) -> None:
    page.evaluate("document.querySelector('.moment:not([hidden]) .crops img').removeAttribute('alt')")
    page.evaluate("document.querySelector('nav a').style.color = '#eee'")
    assert [text.split(":")[0] for text in violations(page)] == ["color-contrast", "image-alt"]


def test_the_keyboard_alone_is_enough(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    page.keyboard.press("Enter")
    tab_to(page, "Clips of srn:rgb")
    page.keyboard.press("Enter")
    tab_to(page, "Frames of clip-01 by srn:rgb")
    page.keyboard.press("Enter")
    tab_to(page, "Frame 000006, open the picture")
    page.keyboard.press("Enter")
    assert page.locator("#viewer").is_visible()
    for key in ("s", "d", "w", "c"):
        page.keyboard.press(key)
    tab_to(page, "Wipe between", "aria-label")
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("slider").get_attribute("aria-valuenow") == "51"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.crop") == "x":
            break
    page.keyboard.press("ArrowUp")  # number fields step
    assert page.evaluate("document.activeElement.dataset.crop") == "x"
    for _ in range(60):  # the focus goes round within the viewer
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))"
        )
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()


def tab_to(page: Any, name: str, attribute: str = "aria-label") -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if (page.evaluate(f"document.activeElement.getAttribute('{attribute}')") or "").startswith(name):
            return
    raise AssertionError(f"no way by Tab to {name!r}")


@pytest.mark.parametrize("width", [390, 1440])
def test_the_viewer_fits_its_window(open_page: Opener, report: Path, width: int) -> None:
    page = open_page(report, viewport={"width": width, "height": 844}, has_touch=width < 500)
    page.locator("article.clip button.open:visible").nth(1).click()
    for key in ("w", "s", "c", "b", "r"):
        page.keyboard.press(key)
        assert page.evaluate("document.getElementById('viewer').scrollWidth") <= width
        assert page.locator("#viewer-stage").bounding_box()["height"] >= 120
    right = (
        "all => all.map(e => e.offsetParent && !e.closest('.modes, .viewer-methods')"
        " ? e.getBoundingClientRect().right : 0)"
    )
    assert max(page.eval_on_selector_all("#viewer button, #viewer select", right)) <= width


@pytest.mark.parametrize("case", ["one clip", "twenty methods", "no ground truth", "no frames"])
def test_odd_runs_open_without_an_error(open_page: Opener, tmp_path: Path, case: str) -> None:
    twenty = {"identity": 1.0, **{f"method{n:02d}:v": 0.95 - n * 0.04 for n in range(19)}}
    fake = {
        "one clip": Fake(pictures=True, clips=(HOSTILE,), size=(120, 100)),
        "twenty methods": Fake(pictures=True, methods=twenty, clips=("one", "two", "three"), size=(120, 100)),
        "no ground truth": Fake(pictures=True, ground_truth=False, clips=("one",), size=(120, 100)),
        "no frames": Fake(),
    }[case]
    page = open_page(write_report(fake_run.write(tmp_path / "run", fake), tmp_path / "report"))
    if case == "no frames":
        assert page.locator("#viewer").count() == 0 and page.locator(".expand").count() == 3
        return
    page.locator("button.open:visible").nth(1).click()
    for key in "wsdec+b":
        page.keyboard.press(key)
        assert page.locator("#viewer-stage img:visible").count() > 0
    assert page.locator("#viewer-methods button").count() == len(fake.methods) + fake.ground_truth
