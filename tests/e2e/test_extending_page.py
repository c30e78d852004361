"""docs/extending.md works as it stands: its files are written, its commands run, in order, in an empty folder."""

import csv
import json
import re
import shlex
import subprocess
import sys

from tests.conftest import ROOT
from tests.e2e.conftest import read_scores

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_does_as_it_says(cli):
    blocks = BLOCK.findall(PAGE)
    assert PAGE.count("```") == 2 * len(blocks)
    cli.variables["DEBLURBENCH_PLUGINS"] = str(cli.folder / "plugins")
    printed = ""
    for kind, name, body in blocks:
        if name:
            (cli.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (cli.folder / name).write_text(body)
            continue
        assert kind == "bash"
        for line in body.strip().splitlines():
            program, *words = shlex.split(line)
            if program == "deblurbench":
                done = cli(*words, *["--in-process"] * (words[0] == "run"))
                printed += done.stdout
            elif program == "python":
                subprocess.run([sys.executable, *words], cwd=cli.folder, check=True)
            else:
                assert line == "export DEBLURBENCH_PLUGINS=$PWD/plugins"
    assert "FAILED" not in printed and "s a frame of 1280x720" in printed
    assert {row["metric"] for row in read_scores(cli.folder / "runs/bench")} == {"psnr", "edges"}
    manifest = json.loads((cli.folder / "runs/bench/run.json").read_text())
    record = next(m for m in manifest["metrics"] if m["id"] == "edges")
    assert record["version"] == 1 and len(record["code_sha256"]) == 64
    with (cli.folder / "runs/bench/report/table.csv").open() as file:
        assert [row["method"] for row in csv.DictReader(file) if float(row["edges"]) > 0] == [
            "identity",
            "unsharp:mild",
        ]
    assert "unsharp:mild" in (cli.folder / "runs/bench/report/plain.txt").read_text()
