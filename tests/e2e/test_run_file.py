"""`deblurbench run FILE.yaml` and `show RUN --as-config`: several datasets, all faults at once, options that win."""

import json

import pytest
import yaml

from deblurbench.cli.support.run_file import as_config, read_run_file, requests_of
from deblurbench.errors import UsageError
from deblurbench.results.manifest import Request
from tests.conftest import ROOT
from tests.e2e.conftest import read_scores
from tests.e2e.inprocess import deblurbench
from tests.fakes import write_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder below the current one with data and room for a file, which names its paths from there."""
    place = tmp_path / "below"
    write_folder(place / "data" / "frames", frames=3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRAMES", "data/frames")
    return place


def write(folder, **changes):
    content = {
        "methods": ["unsharp:mild"],
        "datasets": ["mini", {"name": "folder", "data_root": "$FRAMES", "clips": ["one"]}],
        "metrics": ["psnr"],
        "frames_per_clip": 6,
        "limit": 1,
        "engine": {"in_process": True, "device": "cpu"},
        "report": {"gallery": "none"},
        "output": "out",
        **changes,
    }
    (folder / "bench.yaml").write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
    return folder / "bench.yaml"


def test_several_datasets_in_one_go_and_back(folder, capsys):
    file = write(folder)
    deblurbench("run", file)
    for dataset in ("mini", "folder"):
        run = folder / "out" / dataset
        assert {row["method"] for row in read_scores(run)} == {"identity", "unsharp:mild"}
        assert (run / "report" / "index.html").is_file()
    asked = json.loads((folder / "out/folder/run.json").read_text())["request"]
    assert asked["data_root"] == str(folder / "data/frames") and asked["clips"] == ["one"]
    capsys.readouterr()
    deblurbench("show", folder / "out/folder", "--as-config")
    (folder / "again.yaml").write_text(capsys.readouterr().out)
    again = requests_of(read_run_file(folder / "again.yaml"), {})
    assert [request.model_dump() for request in again] == [asked]


def test_options_win(folder, capsys):
    file = write(folder, datasets=["mini"])
    deblurbench("run", file, "--methods", "identity", "--frames-per-clip", 7, "--output", "elsewhere", "--dry-run",
                "--json")  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told["output"] == "elsewhere"
    assert [(work["method"], work["frames"]) for work in told["work"]] == [("identity", 7)]
    deblurbench("run", write(folder), "--dataset", "folder", "--dry-run", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["output"] == str(folder / "out") and {work["clip"] for work in told["work"]} == {"one"}


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"metric": ["psnr"], "tile": 3, "datasets": None}, ["Did you mean 'metrics'", "tile: ", "datasets: "]),
        ({"datasets": [{"name": "mini", "roots": "x"}]}, ["datasets.0.roots", "Known: clips, data_root"]),
        ({"engine": {"job": 2}, "report": {"budget": 0}}, ["engine.job", "Did you mean 'jobs'", "report.budget"]),
        ({"methods": ["srm", "unsharp"], "metrics": ["psmr"], "datasets": ["minni"]},
         ["methods.0: ", "'srn'", "metrics.0: ", "datasets.0: ", "'mini'"]),
        ({"methods": ["./nothing.py"], "datasets": [{"name": "folder", "data_root": "$FRAMES/gone"}]},
         ["methods.0: ", "nothing.py", "datasets.0: ", "gone"]),
        ({"output": "$NOT_SET_AT_ALL/x"}, ["environment variable NOT_SET_AT_ALL is not set"]),
        ({"seed": "one", "random_weights": "maybe"}, ["seed: ", "'one'", "random_weights: "]),
    ],
)  # fmt: skip
def test_all_faults_are_listed_at_once(folder, changes, faults):
    with pytest.raises(UsageError) as refused:
        read_run_file(write(folder, **changes))
    assert "bench.yaml" in str(refused.value)
    assert all(fault in str(refused.value) for fault in faults), str(refused.value)


def test_what_is_no_such_file(folder, capsys):
    deblurbench("run", "gone.yaml", code=2)
    assert "gone.yaml: no such file" in capsys.readouterr().err
    (folder / "list.yaml").write_text("- methods\n")
    deblurbench("run", folder / "list.yaml", code=2)
    assert "list.yaml" in capsys.readouterr().err
    deblurbench("run", "--methods", "identity", code=2)
    assert "--dataset" in capsys.readouterr().err


def test_a_request_comes_back_whole():
    request = Request(methods=["a", "b"], dataset="gopro:all", split="train", clips=["x"], partial=True, tile=64,
                      data_root="/data", device="cuda:0", precision="bf16", metrics=["psnr"], seed=3)  # fmt: skip
    assert as_config(request) == {
        "methods": ["a", "b"], "precision": "bf16", "tile": 64, "metrics": ["psnr"], "seed": 3,
        "datasets": [{"name": "gopro:all", "data_root": "/data", "split": "train", "clips": ["x"], "partial": True}],
        "engine": {"device": "cuda:0"},
    }  # fmt: skip


def test_the_page_names_every_key(folder):
    page = (ROOT / "docs" / "run-file.md").read_text()
    example = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    assert {"methods", "datasets", "engine", "report", "output"} <= example.keys()
    from deblurbench.cli.support.run_file import DatasetEntry, Engine, ReportPart, RunFile

    for model in (RunFile, DatasetEntry, Engine, ReportPart):
        assert all(f"`{key}`" in page for key in model.model_fields)
