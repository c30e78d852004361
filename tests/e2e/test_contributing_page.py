"""CONTRIBUTING.md's walk through a method works as it stands: files written, commands run, two steps trained."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.conftest import ROOT

SECTION = "## Walk through: adding a method"
BLOCK = re.compile(r"^```(\w*)(?: (\S+))?( \+)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHORT = {
    "run": ["--in-process", "--limit", "1"],
    "train": ["--limit-steps", "2", "--device", "cpu", "--set", "validation_clips=1"],
}
DRIVER = """
import json, shlex, sys
from deblurbench.cli.main import main
from deblurbench.registry.discovery import _scan
for line, more in json.loads(sys.argv[1]):
    program, *words = shlex.split(line, comments=True)
    assert program == "deblurbench", line
    _scan.cache_clear()
    print("$", line, flush=True)
    try:
        main(words + [word for word in more if word not in words])
    except SystemExit as left:
        assert not left.code, f"exit code {left.code}: {line}"
"""


def blocks() -> list[tuple[str, str, str, str]]:
    """The section's blocks in order: language, file, ' +' where it is added to the file, text."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(SECTION)[2].partition("\n## ")[0]
    found = BLOCK.findall(text)
    assert text.count("```") == 2 * len(found)
    return found


def run(texts: list[str], folder: Path) -> str:
    """Run all commands in one process, as the files now are; the plugins' folder is a private one."""
    lines = [line for text in texts for line in text.strip().splitlines()]
    commands = json.dumps([(line, SHORT.get(line.split()[1], [])) for line in lines])
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DEBLURBENCH_")}
    own = {"PYTHONPATH": str(ROOT), "DEBLURBENCH_PLUGINS": str(folder / "plugins"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DRIVER, commands], cwd=folder, env=clean | own, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-3000:]
    return done.stdout


def test_the_walk_through_does_as_it_says(tmp_path):
    found = blocks()
    assert {kind for kind, file, _, _ in found if not file} == {"bash"}
    first = [kind for kind, *_ in found].index("python")  # what stands before runs on what `new` has written
    run([text for _, _, _, text in found[:first]], tmp_path)
    place = tmp_path / "plugins" / "methods" / "mymethod"
    for _, file, more, text in found:
        if file:
            before = (place / file).read_text() if more else ""
            method = before and file.endswith(".py")  # of the class that the file ends with
            (place / file).write_text(before + (textwrap.indent(f"\n{text}", "    ") if method else text))
    told = run([text for kind, file, _, text in found[first:] if not file], tmp_path)
    assert "mymethod:small, 2,627 parameters" in told and "FAILED" not in told
    assert (tmp_path / "runs" / "train-small" / "weights.safetensors").is_file()
