"""Playback in Chromium: the frame asked for shows its exact pixels, in a folder, in one file, and served."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deblurbench.frames.images import read_frame
from deblurbench.reports import serving
from deblurbench.reports.inlining import inline
from deblurbench.results.run import Run
from deblurbench.results.store import GROUND_TRUTH
from tests import fake_run
from tests.browser.conftest import HOSTILE, Opener, write_report
from tests.browser.test_access import violations
from tests.fake_run import Fake

pytestmark = pytest.mark.browser
SIZE = (160, 90)
METHODS = ("identity", "ifirnn:C2H3", "srn:rgb", GROUND_TRUTH)
SETTLED = "([n, stem]) => { const a = document.querySelectorAll('article.player')[n].dataset; " \
    "return a.settled === 'true' && a.frame === stem; }"  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that kept every frame."""
    folder = tmp_path_factory.mktemp("playback") / "run"
    return fake_run.write(folder, Fake(pictures=True, every=True, frames=14, size=SIZE, clips=("clip-01", HOSTILE)))


@pytest.fixture(scope="module")
def played(kept: Run) -> Path:
    """Its report's page."""
    return write_report(kept, kept.folder / "report")


@pytest.fixture(scope="module")
def served(played: Path) -> Iterator[str]:
    with serving.server(played.parent) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield serving.address(made)
        made.shutdown()


def shown_frame(page: Any, number: int, stem: str) -> list[np.ndarray]:
    """What the videos of a player show of the frame asked for, as the screen has it."""
    player = page.locator("article.player").nth(number)
    field = player.locator("[data-player=number]")
    field.fill(str(int(stem)))
    field.press("Enter")
    page.wait_for_function(SETTLED, arg=[number, stem], timeout=60_000)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = []
    for video in player.locator("video").all():
        video.scroll_into_view_if_needed()
        box = video.bounding_box()
        assert (box["width"], box["height"]) == SIZE
        x, y = (math.floor(box[side] + 0.5) for side in "xy")  # as the browser snaps halves; round() takes the even one
        clip = {"x": x, "y": y, "width": SIZE[0], "height": SIZE[1]}
        found.append(np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")))
    return found


def check_frames(page: Any, run: Run, stems: tuple[str, ...]) -> None:
    for stem in stems:
        seen = shown_frame(page, 0, stem)
        assert len(seen) == len(METHODS)
        for picture, method in zip(seen, METHODS, strict=True):
            expected = read_frame(run.frames(method, "clip-01")[stem])
            assert np.array_equal(picture, expected), (stem, method, np.abs(picture.astype(int) - expected).max())


def test_the_frame_asked_for_shows_its_exact_pixels(open_page: Opener, kept: Run, played: Path) -> None:
    check_frames(open_page(played), kept, ("000009", "000001", "000014", "000008"))


def test_so_it_does_in_one_file(open_page: Opener, kept: Run, played: Path, tmp_path: Path) -> None:
    inline(played, tmp_path / "report.html")
    page = open_page(tmp_path / "report.html")
    check_frames(page, kept, ("000013", "000002"))
    page.eval_on_selector_all("img", "images => images.forEach(i => { i.loading = 'eager'; })")
    page.evaluate("Promise.allSettled(Array.from(document.querySelectorAll('img[src]')).map(i => i.decode()))")
    broken = page.eval_on_selector_all("img", "images => images.filter(i => i.src && !i.naturalWidth).length")
    assert broken == 0 and page.locator("table.results th button").first.is_visible()
    page.locator("article.clip .moment:not([hidden]) figure.shot button.open").first.click()
    assert page.locator("#viewer").is_visible()


def test_so_it_does_served(browser: Any, kept: Run, played: Path, served: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on(
        "request", lambda asked: faults.append(asked.url) if not asked.url.startswith(("data:", served[:20])) else None
    )
    page.goto(served)
    check_frames(page, kept, ("000012", "000003"))
    context.close()
    assert faults == []


def settled(page: Any, stem: str) -> None:
    page.wait_for_function(SETTLED, arg=[0, stem], timeout=60_000)


def test_keyboard_alone_steps_plays_and_changes_speed(open_page: Opener, played: Path) -> None:
    page = open_page(played)
    player = page.locator("article.player").first
    player.focus()
    for key, stem in (("End", "000014"), ("ArrowLeft", "000013"), ("Home", "000001"), ("ArrowRight", "000002")):
        page.keyboard.press(key)
        settled(page, stem)
    page.keyboard.press("[")
    assert player.locator("[data-player=speed]").input_value() == "0.5"
    page.keyboard.press("]")
    page.keyboard.press("]")
    assert player.locator("[data-player=speed]").input_value() == "2"
    page.keyboard.press(" ")
    settled(page, "000014")  # to the end, where it stays: no loop under reduced motion
    assert not player.locator("[data-player=loop]").is_checked()
    stopped = "() => document.querySelector('article.player [data-player=play]').innerText === 'Play'"
    page.wait_for_function(stopped, timeout=60_000)  # the last frame is shown a moment before the video ends
    assert "000014 (14 of 14)" in player.locator("[data-player=says]").inner_text()


def test_playing_videos_keep_step_and_stop_on_the_same_frame(open_page: Opener, played: Path) -> None:
    page = open_page(played, reduced_motion="no-preference")
    player = page.locator("article.player").first
    assert player.locator("[data-player=loop]").is_checked()
    player.locator("[data-player=speed]").select_option("0.25")
    player.locator("[data-player=play]").click()
    page.wait_for_function("() => document.querySelector('article.player video').currentTime > 0.1", timeout=60_000)
    times = (
        "Array.from(document.querySelectorAll('article.player')[0].querySelectorAll('video')).map(v => v.currentTime)"
    )
    moving = page.evaluate(times)
    assert max(moving) - min(moving) < 4 / 25
    player.locator("[data-player=play]").click()
    page.wait_for_function("() => document.querySelector('article.player').dataset.settled === 'true'", timeout=60_000)
    stopped = page.evaluate(times)
    assert max(stopped) - min(stopped) < 0.001
    frame = player.get_attribute("data-frame")
    assert stopped[0] == pytest.approx((int(frame) - 0.5) / 25, abs=0.002)


def test_the_last_of_many_quick_requests_is_shown(open_page: Opener, played: Path) -> None:
    page = open_page(played)
    page.locator("article.player").first.focus()
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    settled(page, "000010")


def test_another_clip_is_chosen_and_its_hostile_name_is_text(open_page: Opener, played: Path) -> None:
    page = open_page(played)
    players = page.locator("article.player")
    assert players.nth(0).is_visible() and not players.nth(1).is_visible()
    page.select_option("#player-clip", "1")
    assert players.nth(1).is_visible() and not players.nth(0).is_visible()
    assert HOSTILE in players.nth(1).locator("h3").inner_text()
    assert len(shown_frame(page, 1, "000005")) == 4


def test_the_page_loads_no_video_before_it_is_looked_at(open_page: Opener, played: Path) -> None:
    page = open_page(played, viewport={"width": 1280, "height": 300})
    states = page.eval_on_selector_all("video", "videos => videos.map(v => v.networkState)")
    assert len(states) == 8 and set(states) <= {0, 1} and page.eval_on_selector_all(
        "video", "videos => Math.max(...videos.map(v => v.readyState))"
    ) == 0  # fmt: skip


def test_playback_on_a_phone_and_in_actual_size(open_page: Opener, played: Path) -> None:
    page = open_page(played, viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("[data-player=actual]").first.check()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("article.player video").first.bounding_box()["width"] == SIZE[0]


def test_without_sequences_the_page_says_how_to_get_them(open_page: Opener, report: Path) -> None:
    page = open_page(report)
    assert "--save-frames all" in page.locator("#playback").inner_text() and page.locator("video").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_player(open_page: Opener, played: Path, scheme: str) -> None:
    page = open_page(played, color_scheme=scheme)
    page.locator("article.player").first.focus()
    page.keyboard.press("ArrowRight")
    settled(page, "000002")
    assert violations(page) == []
