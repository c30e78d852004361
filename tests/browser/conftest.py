"""Chromium, and a report page opened from the disk in which any console error fails the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deblurbench.registry.discovery import plugin
from deblurbench.results.run import Run
from tests import fake_run
from tests.fake_run import Fake

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOSTILE = "<img src=x onerror=alert(1)>"
Opener = Callable[..., Any]


def write_report(run: Run, folder: Path) -> Path:
    """Write the page of a run; its index.html."""
    found = plugin("reports", "gallery")
    return found.load()(found.card).write([run], folder)[0]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = os.environ.get("DEBLURBENCH_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not executable:
        pytest.skip("Chromium is not installed (DEBLURBENCH_CHROMIUM may name it)")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything: pictures, a failed method, a hostile clip name."""
    folder = tmp_path_factory.mktemp("browser")
    methods = {"identity": 1.0, "ifirnn:C2H3": 0.55, "srn:rgb": 0.5, "broken": 0.7}
    fake = Fake(methods=methods, pictures=True, clips=("clip-01", HOSTILE, "clip-03"), failed={"broken": "clip-03"})
    return write_report(fake_run.write(folder / "run", fake), folder / "report")


@pytest.fixture
def open_page(browser: Any) -> Iterator[Opener]:
    """Opens a page with options of the browser's context; console errors, failed requests and dialogs fail the test."""
    faults: list[str] = []
    contexts = []

    def opened(file: Path, address: str = "", **options: Any) -> Any:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | options
        )
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "requestfailed", lambda r: faults.append(r.url) if "ABORTED" not in str(r.failure) else None
        )  # a reload
        page.on(
            "request", lambda r: faults.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None
        )
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        page.goto(file.as_uri() + address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(open_page: Opener, report: Path) -> Any:
    """The report page, opened from the disk."""
    return open_page(report)
