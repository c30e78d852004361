"""Third-party scripts are what vendor.json says: name, version, licence, and the sha256 of every file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "reports/gallery/static/vendor", ROOT / "tests/browser/vendor")
LICENCES = {"MIT": "Permission is hereby granted, free of charge", "MPL-2.0": "Mozilla Public License, version 2.0"}


def parts(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "vendor.json").read_text(encoding="utf-8"))


def faults(folder: Path) -> list[str]:
    """What is wrong with the vendored files of a folder, in words."""
    found = []
    listed = {name: entry["sha256"] for part in parts(folder) for name, entry in part["files"].items()}
    there = {file.name for file in folder.iterdir() if file.name != "vendor.json"}
    found += [f"{name}: not in vendor.json" for name in sorted(there - set(listed))]
    for name, wanted in listed.items():
        file = folder / name
        if not file.is_file():
            found.append(f"{name}: missing")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != wanted:
            found.append(f"{name}: changed")
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.parent.name)
def test_files_are_the_listed_ones(folder: Path) -> None:
    assert faults(folder) == []


@pytest.mark.parametrize("part", [p | {"folder": f} for f in FOLDERS for p in parts(f)], ids=lambda p: p["name"])
def test_a_part_says_what_it_is(part: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", part["version"]) and part["use"]
    kind, _, digest = part["integrity"].partition("-")
    assert kind == "sha512" and len(base64.b64decode(digest, validate=True)) == 64
    licence = next(name for name in part["files"] if name.endswith(".LICENSE"))
    text = " ".join((part["folder"] / licence).read_text(encoding="utf-8").split())
    assert LICENCES[part["licence"]] in text


def test_a_changed_and_an_unlisted_file_are_found(tmp_path: Path) -> None:
    (tmp_path / "vendor.json").write_text(
        json.dumps([{"files": {"a.js": {"sha256": "0" * 64}, "b.js": {"sha256": ""}}}])
    )
    (tmp_path / "a.js").write_text("alert(1)")
    (tmp_path / "c.js").write_text("")
    assert faults(tmp_path) == ["c.js: not in vendor.json", "a.js: changed", "b.js: missing"]
