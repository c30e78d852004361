"""How large a report gets, how long it takes and how much memory, and how soon the page opens.

    python benchmarks/report.py [--methods 3] [--clips 11] [--frames 100] [--size 1280x720] [--every] [--folder DIR]

Writes a run with numbers from a generator and mirrored photographs as pictures (three frames a clip, all with --every),
builds its report twice, compares the bytes, and opens the page in Chromium where playwright and Chromium are there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("methods", 3), ("clips", 11), ("frames", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = asked.folder or Path(place)
        run = folder / "run"
        if not (run / "run.json").is_file():  # one that was written before, into --folder
            write_run(run, asked)
        found = {
            "asked": {"methods": asked.methods, "clips": asked.clips, "frames": asked.frames, "size": asked.size,
                      "every": asked.every},
            "load": os.getloadavg()[0],
            "first": build(run, folder / "one"),
            "again": build(run, folder / "two"),
        }  # fmt: skip
        found["same bytes"] = digests(folder / "one") == digests(folder / "two")
        found["megabytes"] = sum(f.stat().st_size for f in (folder / "one").rglob("*") if f.is_file()) / 1e6
        found["page"] = opened(folder / "one" / "index.html")
    print(json.dumps(found, indent=1))


def write_run(folder: Path, asked: argparse.Namespace) -> None:
    """A run as `deblurbench run` leaves it, without running anything."""
    from tests.fake_run import Fake, write

    methods = {"identity": 1.0, **{f"method-{n + 1:02d}": 0.3 + 0.6 * n / asked.methods for n in range(asked.methods)}}
    width, height = map(int, asked.size.split("x"))
    clips = [f"GOPR{n:04d}_11_00" for n in range(asked.clips)]
    shutil.rmtree(folder, ignore_errors=True)
    write(folder, Fake(methods=methods, clips=clips, frames=asked.frames, size=(width, height), pictures=True,
                       every=asked.every))  # fmt: skip


def build(run: Path, folder: Path) -> dict[str, float]:
    """Wall and processor seconds and peak megabytes of `deblurbench report` in a process of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "deblurbench", "report", str(run), "--output", str(folder)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.monotonic() - begin, "processor": used, "peak MB": after.ru_maxrss / 1024}


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file of a report."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def opened(page: Path) -> dict[str, float] | str:
    """Seconds until the page is loaded and drawn, best and worst of three visits, and its processor seconds."""
    executable = os.environ.get("DEBLURBENCH_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return "playwright is not installed"
    if not executable:
        return "Chromium is not installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        seconds = []
        for _ in range(3):
            tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            inspector = tab.context.new_cdp_session(tab)
            inspector.send("Performance.enable", {"timeDomain": "threadTicks"})
            begin = time.monotonic()
            tab.goto(page.as_uri())
            tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            seconds.append(time.monotonic() - begin)
            metrics = {m["name"]: m["value"] for m in inspector.send("Performance.getMetrics")["metrics"]}
            tab.context.close()
        browser.close()
    return {"best": min(seconds), "worst": max(seconds), "processor": metrics["ProcessTime"]}


if __name__ == "__main__":
    main()
