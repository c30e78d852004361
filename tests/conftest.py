"""Shared fixtures: where the real clips lie, private plugin folders, and small offline defaults."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

# Several test processes share the cores (pytest-xdist): each takes one.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
# Started in the background, a shell lets us ignore Ctrl-C, and so would every process that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
ROOT = Path(__file__).resolve().parent.parent


def real_data_root() -> Path | None:
    """The folder with the real clips, where this machine has it."""
    for place in (os.environ.get("DEBLURBENCH_REAL_DATA"), ROOT.parent / "shared" / "data"):
        if place and Path(place).is_dir():
            return Path(place)
    return None


@pytest.fixture
def real_data() -> Path:
    place = real_data_root()
    if place is None:
        pytest.skip("the real clips are not here (set DEBLURBENCH_REAL_DATA)")
    return place


@pytest.fixture
def plugin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private plugin folder that the registry searches."""
    folder = tmp_path / "plugins"
    (folder / "methods").mkdir(parents=True)
    monkeypatch.setenv("DEBLURBENCH_PLUGINS", str(folder))
    return folder


def write_plugin(folder: Path, name: str, code: str, card: str = "") -> Path:
    """A method in a private plugin folder: its card and its method.py, whose class is called Plugin."""
    place = folder / "methods" / name
    place.mkdir(parents=True)
    (place / "card.yaml").write_text(f"name: {name}\nentry: method:Plugin\ntitle: {name}\n{card}")
    (place / "method.py").write_text(code)
    return place
