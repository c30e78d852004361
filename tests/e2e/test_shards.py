"""Shards of one request: run apart, read as one, merged into what an undivided run would have written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from deblurbench import tables
from deblurbench.errors import UsageError
from deblurbench.evaluation import runner
from deblurbench.evaluation.plan import make_plan
from deblurbench.results.coverage import Coverage
from deblurbench.results.join import JoinedRun, device_kind, joined_runs, open_joined
from deblurbench.results.manifest import Request
from deblurbench.results.run import Run
from deblurbench.results.store import Store
from tests.conftest import write_plugin
from tests.e2e.inprocess import deblurbench
from tests.e2e.test_run import SHARPEN
from tests.fakes import write_folder

CLIPS = ["clip-1", "clip-2", "clip-10", "other"]


@pytest.fixture
def here(tmp_path: Path, plugin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("deblurbench.cli.main.signal.signal", lambda *_: None)
    write_plugin(plugin_folder, "sharpen", SHARPEN)
    write_folder(tmp_path / "data", clips=CLIPS)
    return tmp_path


def run(output: str, **asked: Any) -> Run:
    words = {"methods": ["sharpen"], "dataset": "folder", "data_root": "data", "metrics": ["psnr"]} | asked
    runner.run(make_plan(Request(**words)), Path(output), in_process=True)
    return Run.open(Path(output))


def test_merged_shards_are_the_undivided_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = run("whole")
    shards = [run(f"shard{number}", shard=f"{number}/3") for number in (1, 2, 3)]
    assert [[clip.name for clip in shard.manifest.clips] for shard in shards] == [
        ["clip-1", "other"], ["clip-2"], ["clip-10"]]  # fmt: skip
    assert shards[0].manifest.coverage == "2 of 4 clips, 14 of 14 frames, 14 scored" and shards[0].manifest.partial
    deblurbench("merge", "shard3", "shard1", "shard2", "--output", "merged")
    assert "4 of 4 clips" in capsys.readouterr().err
    assert (here / "merged" / "scores.csv").read_bytes() == (here / "whole" / "scores.csv").read_bytes()
    frames = [sorted(str(file.relative_to(here / name)) for file in (here / name).rglob("*.png"))
              for name in ("whole", "merged")]  # fmt: skip
    assert frames[0] == frames[1] and frames[0]
    merged = Run.open(Path("merged")).manifest
    same = ("request", "coverage", "partial", "clips", "methods", "metrics", "protocol_digest", "warnings")
    assert {name: getattr(merged, name) for name in same} == {name: getattr(whole.manifest, name) for name in same}
    stamps = {file: file.stat().st_mtime_ns for file in (here / "merged" / "parts").rglob("*.json")}
    run("merged")  # the undivided request resumes it, and finds nothing to do
    assert stamps == {file: file.stat().st_mtime_ns for file in (here / "merged" / "parts").rglob("*.json")}
    assert Run.open(Path("shard1")).manifest == shards[0].manifest
    deblurbench("verify", "merged")


def test_a_report_reads_shards_as_one_run(here: Path) -> None:
    whole, shards = run("whole"), [run(f"shard{number}", shard=f"{number}/2") for number in (1, 2)]
    (joined,) = joined_runs(shards)
    assert isinstance(joined, JoinedRun) and joined.folder.name == "shard1 + shard2"
    assert joined.scores.equals(whole.scores)
    assert list(joined.timings["frame"]) == list(whole.timings["frame"])
    for method in ("identity", "sharpen"):
        for clip in CLIPS:
            assert joined.frames(method, clip).keys() == whole.frames(method, clip).keys()
            assert joined.ground_truth_frames(clip).keys() == whole.ground_truth_frames(clip).keys()
    cells = [[row.cells["psnr"] for row in tables.build([each]).rows] for each in (whole, joined)]
    assert cells[0] == cells[1] and len(cells[0]) == 2
    deblurbench("report", "shard1", "shard2", "--gallery", "none", "--output", "report")
    lines = Path("report/table.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[0].startswith("method")
    incomplete = open_joined([Path("shard1")])
    assert incomplete[0].manifest.partial and "2 of 4 clips" in incomplete[0].manifest.coverage


def test_runs_over_other_clips_join_and_name_them(here: Path) -> None:
    pieces = [run("a", clips=["clip-2", "clip-1"]), run("b", clips=["clip-10"], device="cpu")]
    assert len(joined_runs(pieces)) == 2  # `auto` may be another device
    pieces[1] = run("c", clips=["clip-10"])
    (joined,) = joined_runs(pieces)
    assert joined.manifest.request.clips == ["clip-1", "clip-2", "clip-10"] and joined.manifest.partial
    assert joined.manifest.coverage == "3 of 4 clips, 21 of 21 frames, 21 scored"


def test_what_cannot_be_merged_is_named(here: Path, plugin_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("one", shard="1/3")
    run("two", shard="2/3")
    run("half", shard="2/2")
    run("brief", shard="3/3", frames_per_clip=2)
    run("named", clips=["clip-1"])
    shutil.copytree("two", "copy")
    store = Store(Path("copy"))
    store.write_manifest(store.read_manifest().model_copy(update={"deblurbench": "0.0.1"}))
    run("metric", shard="3/3")
    part = Path("metric/parts/sharpen/clip-10.json")
    method = plugin_folder / "methods" / "sharpen" / "method.py"
    for folders, said in (
        (["one", "two"], "missing: shard 3/3"),
        (["one"], "missing: shards 2/3, 3/3"),
        (["one", "one", "two"], "one and one overlap: both hold clip-1, other"),
        (["one", "half"], "one and half are no shards of one request: shards: 3, not 2"),
        (["one", "two", "brief"], "one and brief are no shards of one request: frames_per_clip: None, not 2"),
        (["one", "named"], "shards: 3, not None"),
        (["one", "copy"], "not 0.0.1"),
        (["one", "nothing"], "nothing: no run here"),
    ):
        deblurbench("merge", *folders, "--output", "merged", code=2)
        assert said in capsys.readouterr().err, said
        assert not Path("merged").exists()
    deblurbench("merge", "one", "two", "metric", "--output", "one", code=2)
    assert "one: not empty" in capsys.readouterr().err
    edited = json.loads(part.read_text())
    part.write_text(json.dumps(edited | {"sha256": "0"}))
    deblurbench("merge", "one", "two", "metric", "--output", "merged", code=2)
    assert "damaged record" in capsys.readouterr().err and part.is_file()
    method.write_text(SHARPEN.replace("0.7", "0.8"))
    run("other", shard="3/3")
    deblurbench("merge", "one", "two", "other", "--output", "merged", code=2)
    assert "code of the methods" in capsys.readouterr().err


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/5", "-1/2", "1/0"])
def test_shards_that_are_none(here: Path, shard: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        run("out", shard=shard)


@pytest.mark.parametrize(
    "text",
    [
        "8 of 8 clips, 96 of 96 frames, 56 scored",
        "1 of 11 clips, 24 of 100 frames, 19 scored, at 64x48 instead of 1280x720",
        "3 of 4 clips, 8 of 9 frames, 0 scored, and 1 clip that the protocol does not know",
        "3 of 4 clips, 8 of 9 frames, 0 scored, and 2 clips that the protocol does not know, at 4x4 instead of 8x8",
    ],
)
def test_a_coverage_is_read_back(text: str) -> None:
    assert str(Coverage.read(text)) == text
    assert Coverage.read(text).is_whole == text.startswith("8 of 8")


def test_devices_of_one_kind() -> None:
    assert device_kind("cuda:1") == device_kind("cuda:0,cuda:3") == "cuda" and device_kind("auto") == "auto"
