"""docs/outside.md works as it stands: its files are written, its commands run, in order, in an empty folder."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.foreign_nets import TORCHVISION, write_published

PAGE = (ROOT / "docs" / "outside.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = {"An ONNX file": ("onnx", "onnxruntime"), "A published single-image network": ("spandrel",)}
DRIVER = """
import json, runpy, shlex, subprocess, sys
sys.path.insert(0, "stubs")
from deblurbench.cli.main import main
for line in json.load(open("commands.json")):
    program, *words = shlex.split(line, comments=True)
    print("$", line, flush=True)
    if program == "deblurbench":
        try:
            main(words + ["--in-process"] * (words[0] == "run"))
        except SystemExit as left:
            assert not left.code, f"exit code {left.code}: {line}"
    elif program == "python":
        runpy.run_path(words[0])
    else:
        assert (program, words[0]) == ("pip", "install"), line
        flags = ["-q", "--no-index", "--no-deps", "--no-build-isolation", "--target", "site"]
        subprocess.run([sys.executable, "-m", "pip", *words, *flags], check=True)
        sys.path.append("site")
"""


def sections() -> dict[str, str]:
    """The page's sections that have blocks, by their headings."""
    texts = [part.partition("\n") for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]]
    return {title: text for title, _, text in texts if "```" in text}


@pytest.mark.parametrize("title", sections())
def test_the_page_does_as_it_says(title, tmp_path):
    missing = [name for name in NEEDS.get(title, ()) if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (pip install 'deblurbench[dev]')")
    commands = write_blocks(title, tmp_path)
    assert commands
    if "NAFNet.pth" in sections()[title]:
        write_stub(tmp_path / "stubs")
        code = write_published("NAFNet", "NAFNet.pth")
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=True)
    (tmp_path / "commands.json").write_text(json.dumps(commands))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DRIVER], cwd=tmp_path, env=environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for table in tmp_path.glob("runs/*/report/table.md"):
        assert "failed" not in table.read_text(), table.read_text()


def write_blocks(title: str, folder: Path) -> list[str]:
    """Write a section's files, and those of the sections before that it goes on from; return its commands."""
    commands: list[str] = []
    for heading, text in sections().items():
        for kind, name, body in BLOCK.findall(text):
            if name:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(body)
            elif kind == "bash" and heading == title:
                commands += body.strip().splitlines()
        if heading == title:
            return commands
    return commands


def write_stub(folder: Path) -> None:
    """A torchvision of the three names that spandrel imports, for where the real one does not fit torch's build."""
    for name, text in TORCHVISION.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def environment() -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DEBLURBENCH_")}
    return {**clean, "PYTHONPATH": os.pathsep.join(["stubs", str(ROOT)]), "OMP_NUM_THREADS": "1"}


def test_every_block_is_of_a_kind_that_is_tried():
    blocks = BLOCK.findall(PAGE)
    assert PAGE.count("```") == 2 * len(blocks) and len(blocks) > 15
    assert all(bool(name) != (kind == "bash") for kind, name, _ in blocks)
    words = {line.split()[0] for kind, _, body in blocks if kind == "bash" for line in body.strip().splitlines()}
    assert words == {"deblurbench", "python", "pip"}
