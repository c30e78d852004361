"""The viewer in Chromium: modes, keys, zoom, crops, the curve, the address, and the blind comparison."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests import fake_run
from tests.fake_run import Fake

from .conftest import HOSTILE, Opener, write_report

pytestmark = pytest.mark.browser
PLANE = "document.querySelector('#viewer-stage .plane').style.transform"


def open_viewer(page: Any, label: str = "ifirnn:C2H3", clip: str = "clip-01") -> None:
    article = page.locator("article.clip").filter(has_text=clip).first
    article.locator(".moment:not([hidden]) figure.shot").filter(has_text=label).locator("button.open").click()


def sources(page: Any) -> list[str]:
    """Pictures on the stage, pane by pane, those of the second layer after a plus sign."""
    layers = "Array.from(p.querySelectorAll('img:not([hidden])'), i => i.getAttribute('src')).join('+')"
    return page.eval_on_selector_all("#viewer-stage .pane", f"panes => panes.map(p => {layers})")


def shown(page: Any) -> list[str]:
    """File names on the stage without folder and digest: '000008-srn-rgb'."""
    return [re.sub(r"images/[^/]*/|(-[0-9a-f]{8})?\.webp", "", source) for source in sources(page)]


def state(page: Any) -> dict[str, list[str]]:
    page.wait_for_timeout(300)  # the address follows after a moment
    return parse_qs(page.evaluate("location.hash").lstrip("#"))


def test_flips_by_key_steps_frames_and_closes(page: Any) -> None:
    open_viewer(page)
    assert shown(page) == ["000008-ifirnn-C2H3"]
    for key, name in (("1", "identity"), ("4", "broken"), ("5", "ground-truth"), ("3", "ifirnn-C2H3")):
        page.keyboard.press(key)
        assert shown(page) == [f"000008-{name}"]
    page.keyboard.down("Shift")
    assert shown(page) == ["000008-ground-truth"]
    page.keyboard.up("Shift")
    assert shown(page) == ["000008-ifirnn-C2H3"]
    page.keyboard.press("ArrowRight")
    assert shown(page) == ["000010-ifirnn-C2H3"]
    assert page.locator("#viewer-frame option:checked").inner_text().startswith("000010")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert page.locator("#viewer-clip option:checked").inner_text() == HOSTILE
    page.keyboard.press("?")
    assert page.locator("#viewer-help").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#viewer").is_visible() and not page.locator("#viewer-help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    assert page.evaluate("document.activeElement.classList.contains('open')")


def test_wipes_by_key_by_pointer_and_as_a_slider(page: Any) -> None:
    open_viewer(page)
    page.keyboard.press("w")
    slider = page.get_by_role("slider")
    assert shown(page) == ["000008-ifirnn-C2H3", "000008-identity"]
    assert slider.get_attribute("aria-valuenow") == "50" and "ifirnn:C2H3" in slider.get_attribute("aria-label")
    page.keyboard.press(".")
    assert slider.get_attribute("aria-valuenow") == "52"
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("PageDown")
    assert slider.get_attribute("aria-valuenow") == "41"
    assert shown(page)[0] == "000008-ifirnn-C2H3"  # the arrow moved the edge, not the frame
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuenow") == "0"
    page.keyboard.press("End")
    box = page.locator("#viewer-stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 60, steps=3)
    page.mouse.up()
    assert float(slider.get_attribute("aria-valuenow")) == pytest.approx(25, abs=1)
    page.select_option("#viewer-right", "srn:rgb")
    assert shown(page)[1] == "000008-srn-rgb"
    page.keyboard.press("Alt+5")
    assert shown(page)[1] == "000008-ground-truth"
    page.keyboard.press("w")
    assert shown(page) == ["000008-ifirnn-C2H3"]


def test_the_wipe_shows_each_side_on_its_side(open_page: Opener, tmp_path: Path) -> None:
    fake = Fake(methods={"identity": 1.0, "srn": 0.5}, pictures=True, clips=("one",))
    run = fake_run.write(tmp_path / "run", fake)
    paint(run, {"identity": (255, 0, 0), "srn": (0, 255, 0)})
    page = open_page(write_report(run, tmp_path / "report"))
    open_viewer(page, "srn", "one")
    page.keyboard.press("w")
    assert pixel(page, 0.3) == (0, 255, 0) and pixel(page, 0.7) == (255, 0, 0)
    page.keyboard.press("Alt+1")
    page.keyboard.press("d")  # |green - red| x 4
    assert pixel(page, 0.3) == (255, 255, 0)


def paint(run: Any, colours: dict[str, tuple[int, int, int]]) -> None:
    """Fill the kept frames of methods with one colour."""
    import numpy as np

    from deblurbench.frames.images import write_png

    for method, colour in colours.items():
        for file in run.frames(method, "one").values():
            write_png(file, np.full((180, 320, 3), colour, np.uint8))


def pixel(page: Any, across: float) -> tuple[int, ...]:
    """The colour of the screen in the stage, `across` of its width and in the middle of its height."""
    import io

    from PIL import Image

    box = page.locator("#viewer-stage").bounding_box()
    x, y = box["x"] + box["width"] * across, box["y"] + box["height"] * 0.4
    data = page.screenshot(clip={"x": x, "y": y, "width": 1, "height": 1})
    return Image.open(io.BytesIO(data)).convert("RGB").getpixel((0, 0))


def test_difference_and_error_map(open_page: Opener, tmp_path: Path) -> None:
    fake = Fake(methods={"identity": 1.0, "srn": 0.5}, pictures=True, clips=("one",))
    run = fake_run.write(tmp_path / "run", fake)
    paint(run, {"identity": (100, 100, 100), "srn": (110, 100, 100), "_ground-truth": (100, 100, 100)})
    for file in run.ground_truth_frames("one").values():
        file.write_bytes(next(iter(run.frames("identity", "one").values())).read_bytes())
    page = open_page(write_report(run, tmp_path / "report"))
    open_viewer(page, "srn", "one")
    page.keyboard.press("d")
    assert shown(page) == ["000008-srn+000008-ground-truth"]
    assert pixel(page, 0.5) == (40, 0, 0)  # 10 levels of red, 4 times as bright
    page.keyboard.press("]")
    assert pixel(page, 0.5) == (80, 0, 0) and page.inner_text("#viewer-times") == "\N{MULTIPLICATION SIGN} 8"
    page.keyboard.press("e")
    assert page.locator("#viewer-heat-scale").is_visible() and page.inner_text("#viewer-heat-end") == "32"
    strong = pixel(page, 0.5)
    page.keyboard.press("1")  # the input equals the ground truth: the colour of zero
    assert sum(pixel(page, 0.5)) < 12 < sum(strong)


def test_side_by_side_shows_all_and_keys_choose(page: Any) -> None:
    open_viewer(page)
    page.keyboard.press("s")
    assert len(sources(page)) == 5
    page.keyboard.press("4")
    page.keyboard.press("1")
    assert shown(page) == ["000008-srn-rgb", "000008-ifirnn-C2H3", "000008-ground-truth"]
    assert state(page)["methods"] == ["srn:rgb", "ifirnn:C2H3", "ground truth"]
    page.keyboard.press("+")
    code = "Array.from(document.querySelectorAll('#viewer-stage .plane'), p => p.style.transform)"
    assert len(set(page.evaluate(code))) == 1  # one zoom for all
    page.keyboard.press("1")
    assert len(sources(page)) == 4


def test_zooms_at_the_pointer_with_nearest_neighbour_and_a_pixel_grid(page: Any) -> None:
    open_viewer(page)
    fitted = page.evaluate(PLANE)
    box = page.locator("#viewer-stage").bounding_box()
    x, y = round(box["x"] + box["width"] * 0.4), round(box["y"] + box["height"] * 0.3)
    page.mouse.move(x, y)
    before = under(page, x, y)
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"{PLANE} !== '{fitted}'")
    assert under(page, x, y) == pytest.approx(before, abs=0.05)  # a browser places boxes to 1/64 pixel
    assert page.eval_on_selector("#viewer-stage img", "i => getComputedStyle(i).imageRendering") == "pixelated"
    assert not page.locator("#viewer-stage .pixels").is_visible()
    for _ in range(3):
        page.keyboard.press("+")
    assert page.locator("#viewer-stage .pixels").is_visible()
    zoomed = page.evaluate(PLANE)
    page.mouse.down()
    page.mouse.move(x + 40, y + 10)
    page.mouse.up()
    dragged = page.evaluate(PLANE)
    page.keyboard.press("j")
    assert len({fitted, zoomed, dragged, page.evaluate(PLANE)}) == 4
    page.keyboard.press("0")
    assert page.evaluate(PLANE) == fitted and page.inner_text("#viewer-zoom") == "fit"


def under(page: Any, x: float, y: float) -> list[float]:
    """The picture's coordinates under a point of the screen."""
    code = """([x, y]) => { const p = document.querySelector('#viewer-stage .plane'), b = p.getBoundingClientRect();
        return [(x - b.left) / b.width * p.offsetWidth, (y - b.top) / b.height * p.offsetHeight]; }"""
    return page.evaluate(code, [x, y])


def test_the_curve_marks_the_frame_and_a_click_goes_there(page: Any) -> None:
    open_viewer(page)
    plot = page.locator("#viewer-plot .u-over")
    box = plot.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 1.5 / 7, box["y"] + 30)
    assert shown(page) == ["000006-ifirnn-C2H3"]
    page.mouse.click(box["x"] + box["width"] * 6.5 / 7, box["y"] + 30)  # 000011 has no picture
    assert shown(page) == ["000010-ifirnn-C2H3"]
    assert "000011 has no picture; the nearest that has one is 000010" in page.inner_text("#viewer-says")
    page.select_option("#viewer-metric", "ssim")
    assert "SSIM" in page.get_attribute("#viewer-plot", "aria-label")


def test_crops_by_mouse_and_by_keyboard(page: Any, report: Path) -> None:
    open_viewer(page)
    page.keyboard.press("c")
    assert page.locator("#viewer-crops .insets figure").count() == 5
    box = page.locator("#viewer-stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    left, top = under(page, x, y)
    right, bottom = under(page, x + 60, y + 45)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 45, steps=3)
    page.mouse.up()
    crop = [int(text) for text in state(page)["crop"][0].split(",")]
    assert crop[:2] == pytest.approx([left, top], abs=1) and crop[2:] == pytest.approx(
        [right - left, bottom - top], abs=2
    )
    page.fill("[data-crop=width]", "64")
    page.keyboard.press("Tab")
    page.fill("[data-crop=x]", "10")
    page.fill("[data-crop=y]", "9999")
    page.keyboard.press("Tab")
    command = page.inner_text("[data-crop=command]")
    run = report.parents[1] / "run"
    wanted = f"deblurbench figure {run} --clip clip-01 --frame 000008 --crop 10,178,64,2"
    assert command == wanted  # y is held inside the frame, and so is the height
    assert page.locator("#viewer-stage .cropped").is_visible()
    captions = page.locator("#viewer-crops figcaption").all_inner_texts()
    assert len(captions) == 5 and "dB" in captions[0] and "Ground truth" in captions[-1]
    page.click("[data-crop=remove]")
    assert not page.locator("#viewer-side").is_visible() and "crop" not in state(page)


def test_the_figure_command_quotes_hostile_names(page: Any) -> None:
    open_viewer(page, clip=HOSTILE)
    page.keyboard.press("c")
    assert f"--clip '{HOSTILE}' --frame" in page.inner_text("[data-crop=command]")


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_saved_crop_stands_alone(page: Any, kind: str) -> None:
    open_viewer(page)
    page.keyboard.press("c")
    with page.expect_download() as saving:
        page.click("[data-crop=save]" if kind == "svg" else "[data-crop=save-png]")
    assert saving.value.suggested_filename == f"crop-clip-01-000008.{kind}"
    if kind == "png":
        with Image.open(saving.value.path()) as image:
            assert image.width == 4 * (5 * 188 - 8) and len(set(image.convert("RGB").resize((60, 60)).getdata())) > 200
        return
    root = ElementTree.parse(saving.value.path()).getroot()
    images = [e for e in root.iter() if e.tag.endswith("image")]
    texts = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert len(images) == 6 and all(e.get("href", "").startswith("data:image/png;base64,") for e in images)
    assert "Ground truth" in texts and any(text and text.endswith("dB") for text in texts)


def test_the_address_is_restored_on_reload_and_by_going_back(page: Any) -> None:
    open_viewer(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("w")
    for key in ("2", "+", "+", "."):
        page.keyboard.press(key)
    page.keyboard.press("c")
    page.keyboard.press("c")
    before, place, pictures = state(page), page.evaluate(PLANE), shown(page)
    assert before["clip"] == [HOSTILE] and before["mode"] == ["wipe"] and before["show"] == ["srn:rgb"]
    page.reload()
    assert page.locator("#viewer").is_visible()
    assert state(page) == before and page.evaluate(PLANE) == place and shown(page) == pictures
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible() and state(page) == {}
    page.go_back()
    assert page.locator("#viewer").is_visible() and state(page) == before
    page.go_back()
    assert state(page)["mode"] == ["flip"] and state(page)["clip"] == [HOSTILE]
    page.go_back()
    assert state(page)["clip"] == ["clip-01"]
    page.go_back()
    assert not page.locator("#viewer").is_visible()
    page.wait_for_timeout(100)
    page.go_forward()
    assert page.locator("#viewer").is_visible() and state(page)["clip"] == ["clip-01"]


@pytest.mark.parametrize(
    "address",
    [
        "#clip=nowhere&frame=1",
        "#clip=clip-01&frame=zz&mode=x&zoom=a,b&crop=1,2,-3,900&gain=77&wipe=&blind=x&show=no",
        "#a",
    ],
)
def test_a_damaged_address_does_no_harm(open_page: Opener, report: Path, address: str) -> None:
    page = open_page(report, address)
    assert page.locator("#viewer").is_visible() == ("clip-01" in address)


def test_blind_comparison_hides_names_counts_votes_and_keeps_them(page: Any) -> None:
    open_viewer(page)
    page.keyboard.press("b")
    names = ("ifirnn", "srn", "Blurry", "broken", "dB")
    visible = page.inner_text("#viewer")
    assert not any(name in visible for name in names) and "Method A" in visible
    named = "elements => elements.map(e => e.getAttribute('aria-label') || e.alt)"
    aloud = page.eval_on_selector_all("#viewer [aria-label], #viewer img", named)
    assert not any(name in text for name in names for text in aloud)
    assert not page.locator("#viewer-curve").is_visible()
    seed = state(page)["blind"]
    first = shown(page)
    page.keyboard.press("2")
    second = shown(page)
    page.keyboard.press("5")  # the ground truth is no candidate
    page.keyboard.press("v")
    assert "no candidate" in page.inner_text("#viewer-says")
    page.keyboard.press("2")
    page.keyboard.press("v")
    assert "1 of 9 frames voted on" in page.inner_text("#viewer-voted")
    assert page.locator("#viewer-frame option:checked").inner_text().split(" ")[0] == "000010"  # the next to vote on
    page.keyboard.press("n")
    page.reload()
    assert state(page)["blind"] == seed and "2 of 9" in page.inner_text("#viewer-voted")
    page.keyboard.press("r")
    assert page.locator("#viewer-tally").is_visible() and "1 could not tell" in page.inner_text("#viewer-total")
    page.evaluate("document.addEventListener('copy', () => { window.copied = String(document.activeElement.value); })")
    page.get_by_role("button", name="Copy votes as CSV").click()
    lines = page.evaluate("window.copied").splitlines()
    assert lines[0] == "clip,frame,vote,order" and len(lines) == 3
    voted = lines[1].split(",")[2]
    assert voted.replace(":", "-") in second[0] and voted.replace(":", "-") not in first[0]
    page.get_by_role("button", name="Delete the votes").click()
    assert json.loads(page.evaluate("Object.values(localStorage)[0]")) == {}


def test_the_order_of_the_blind_comparison_changes(page: Any) -> None:
    open_viewer(page)
    orders = set()
    for _ in range(6):
        page.keyboard.press("b")
        orders.add(tuple(shown(page)[0].split("-")[1:2]))
        page.keyboard.press("b")
    assert len(orders) > 1
