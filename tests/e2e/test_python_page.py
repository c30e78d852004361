"""docs/python.md and docs/evaluate.ipynb do as they say: their code is run, in order, in an empty folder."""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def environment() -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DEBLURBENCH_") or k == "DEBLURBENCH_CACHE"}
    return {**clean, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}


def execute(code: str, folder) -> str:
    (folder / "page.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_page_runs(tmp_path):
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(page)
    assert len(blocks) == page.count("```") // 2 > 6
    printed = execute("\n".join(blocks) + "\nassert not run.failures", tmp_path)
    assert "Did you mean 'ifirnn'?" in printed
    assert (tmp_path / "runs" / "from-python" / "scores.csv").is_file()


def test_the_notebook_runs_and_shows_pictures(tmp_path):
    notebook = json.loads((ROOT / "docs" / "evaluate.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    shown = "shown = []\ndef display(value):\n    shown.append(value)\n"
    check = (
        "\nassert [type(each).__name__ for each in shown] == ['Run', 'Figure'], shown\n"
        "assert 'mine' in shown[0]._repr_html_() and len(shown[1].axes) == 3\n"
    )
    execute(shown + "\n".join(cells) + check, tmp_path)


@pytest.mark.parametrize("module", ["deblurbench.api", "deblurbench.metrics.function"])
def test_doctests(module):
    tried = doctest.testmod(__import__(module, fromlist=["*"]))
    assert tried.attempted and not tried.failed
