"""Runs as a newcomer or a rude plugin makes them, in this process: quick, since torch is imported once."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from deblurbench.evaluation.evaluator import IDENTICAL, SHARP, SWAPPED, TRAINING
from deblurbench.evaluation.record import joined
from deblurbench.results.store import Store
from tests.conftest import write_plugin
from tests.e2e.conftest import read_scores
from tests.e2e.inprocess import deblurbench, interrupt
from tests.fakes import write_folder

RUDE = """
import os
import torch
from deblurbench.methods.base import FrameMethod
print("hello from a plugin")
class Plugin(FrameMethod):
    def restore_frame(self, frame):
        os.chdir("/")
        torch.set_default_dtype(torch.float64)
        print("noise")
        return frame
"""
LEAVES = """
import sys
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def restore_frame(self, frame):
        sys.exit(0)
"""
LEFT_IN_TRAINING = """
import torch
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def __init__(self):
        self.network = torch.nn.Dropout(0.5)
    def restore_frame(self, frame):
        restored = self.network(frame)
        self.network.train()
        return restored
"""
ELSEWHERE = """
import torch
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def __init__(self):
        self.nets = [torch.nn.Dropout(0.5)]
    def restore_frame(self, frame):
        self.made = torch.nn.Identity()
        return self.nets[0](frame)
"""
SWAPS_THEN_TRAINS = """
import torch
from deblurbench.methods.base import Method
class Plugin(Method):
    clips = 0
    def __init__(self):
        self.network = torch.nn.Identity()
    def restore(self, frames):
        self.network.train(self.clips > 0)
        self.clips += 1
        yield from (frame.flip(0) for frame in frames)
"""
LEAKS = """
import cv2
import torch
from deblurbench.methods.base import Method
class Plugin(Method):
    def restore(self, frames):
        for frame, file in zip(frames, [*FILES, None, None, None]):
            read = cv2.imread(file)[:, :, ::-1].copy() if file else None
            yield frame * 0.9 if read is None else torch.from_numpy(read).permute(2, 0, 1) / 255
"""
CHANGES_COLOURS = """
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def restore_frame(self, frame):
        return frame.flip(0)
"""
EMPTY_MEMORY = LEAVES.replace("sys.exit(0)", "raise MemoryError")


@pytest.fixture
def here(tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("deblurbench.cli.main.signal.signal", lambda *_: None)
    yield tmp_path
    torch.set_default_dtype(torch.float32)


def run(*words, code=0):
    deblurbench("run", "--dataset", "folder", "--metrics", "psnr", "--in-process", *words, code=code)


def test_rude_plugins_cost_no_data(here, plugin_folder, capsys):
    write_folder(here / "data", clips=["one"], frames=3)
    for name, code in (("rude", RUDE), ("leaves", LEAVES), ("memory", EMPTY_MEMORY)):
        write_plugin(plugin_folder, name, code)
    run("--methods", "leaves,memory,rude,", "--data-root", "data", "--output", "out", "--json", code=1)
    told = capsys.readouterr()
    assert Path.cwd() == here and "noise" in told.err
    states = {row["method"]: row["state"] for row in json.loads(told.out)["methods"]}
    assert states == {"identity": "ok", "leaves": "failed", "memory": "failed", "rude": "ok"}
    reasons = {o["method"]: o["reason"] for o in json.loads((here / "out" / "run.json").read_text())["outcomes"]}
    assert "the method called sys.exit(0)" in reasons["leaves"] and "MemoryError" in reasons["memory"]
    values = {(row["method"], row["frame"]): row["value"] for row in read_scores(here / "out")}
    assert values["rude", "000001"] == values["identity", "000001"]


def test_every_clip_begins_in_evaluation_and_a_change_is_told(here, plugin_folder):
    write_folder(here / "data", frames=2)
    write_plugin(plugin_folder, "trains", LEFT_IN_TRAINING)
    words = ["--methods", "trains", "--data-root", "data", "--output", "out"]
    run(*words)
    for again in ("one", "two"):
        table = (here / "out" / "report" / "table.md").read_text()
        assert table.count("trains: it put its network into training mode") == 1
        (here / "out" / "parts" / "trains" / f"{again}.json").unlink()
        run(*words)
    caveats = {m["id"]: m["caveat"] for m in json.loads((here / "out" / "run.json").read_text())["methods"]}
    assert caveats == {"identity": "", "trains": TRAINING}
    values = {(row["method"], row["clip"], row["frame"]): row["value"] for row in read_scores(here / "out")}
    for clip in ("one", "two"):
        assert values["trains", clip, "000000"] == values["identity", clip, "000000"]
        assert values["trains", clip, "000001"] != values["identity", clip, "000001"]


def test_modules_outside_the_network_restore_in_evaluation(here, plugin_folder):
    write_folder(here / "data", clips=["one"], frames=2)
    leaves = ELSEWHERE.replace("return", "self.nets[0].train()\n        return")
    for name, code in (("keeps", ELSEWHERE), ("leaves", leaves)):
        write_plugin(plugin_folder, name, code)
    run("--methods", "keeps,leaves", "--data-root", "data", "--output", "out")
    caveats = {m["id"]: m["caveat"] for m in json.loads((here / "out" / "run.json").read_text())["methods"]}
    assert caveats == {"identity": "", "keeps": "", "leaves": TRAINING}
    values = {(row["method"], row["frame"]): row["value"] for row in read_scores(here / "out")}
    assert values["keeps", "000001"] == values["identity", "000001"] != values["leaves", "000001"]


def test_a_plugin_that_changes_the_threads_mixes_no_environments(here, plugin_folder, capsys):
    import torch

    write_folder(here / "data", clips=["one"], frames=2)
    before = torch.get_num_threads()
    write_plugin(plugin_folder, "threads", RUDE.replace("class", f"torch.set_num_threads({before + 1})\nclass"))
    try:
        run("--methods", "threads", "--data-root", "data", "--output", "out")
    finally:
        torch.set_num_threads(before)
    manifest = json.loads((here / "out" / "run.json").read_text())
    assert "mixed environments" not in capsys.readouterr().out and not manifest["warnings"]
    assert manifest["device"].endswith(f"{before} thread{'s' * (before > 1)}")
    assert manifest["methods"][1]["caveat"] == f"it changes torch's settings: threads is {before + 1}"


def test_two_caveats_of_one_clip_are_told_once(here, plugin_folder):
    write_folder(here / "data", frames=3)
    write_plugin(plugin_folder, "both", SWAPS_THEN_TRAINS)
    run("--methods", "both", "--data-root", "data", "--output", "out")
    caveat = json.loads((here / "out" / "run.json").read_text())["methods"][1]["caveat"]
    assert caveat == f"{SWAPPED}; {TRAINING}" == joined(caveat, f"{TRAINING}; {SWAPPED}", "")


def test_red_and_blue_changed_over_is_told(here, plugin_folder):
    write_folder(here / "data", frames=3)
    write_plugin(plugin_folder, "bgr", CHANGES_COLOURS)
    run("--methods", "bgr", "--data-root", "data", "--output", "out")
    table = (here / "out" / "report" / "table.md").read_text()
    assert table.count(f"bgr: {SWAPPED}") == 1 and table.count(SWAPPED) == 1


@pytest.mark.parametrize(("metrics", "told"), [("ssim,tof", True), ("ssim,psnr", False)])
def test_frames_identical_to_the_ground_truth_are_told_whatever_the_metrics(here, plugin_folder, metrics, told):
    data = write_folder(here / "data", frames=3)
    sharp = {clip: [str(file) for file in sorted((data / "sharp" / clip).iterdir())] for clip in ("one", "two")}
    write_plugin(plugin_folder, "leaks", LEAKS.replace("FILES", repr(sharp["two"][:1])))
    shutil.copy(sharp["one"][0], data / "blur" / "one" / "000000.png")
    run("--methods", "leaks,unsharp", "--data-root", "data", "--metrics", metrics, "--output", "out")
    caveats = {m["id"]: m["caveat"] for m in json.loads((here / "out" / "run.json").read_text())["methods"]}
    assert caveats == {"identity": SHARP * told, "leaks": IDENTICAL * told, "unsharp:mild": ""}
    assert (here / "out" / "report" / "table.md").read_text().count("suspected leak") == 1 + (not told)


def test_a_package_that_is_not_installed_costs_its_method_the_row(here, plugin_folder, capsys):
    write_folder(here / "data", clips=["one"], frames=3)
    write_plugin(plugin_folder, "lacking", CHANGES_COLOURS, card="requires: [no-such-package]\n")
    words = ["--data-root", "data", "--output", "out"]
    run("--methods", "lacking,unsharp", *words, code=1)
    outcomes = {o["method"]: o for o in json.loads((here / "out" / "run.json").read_text())["outcomes"]}
    assert {name: o["status"] for name, o in outcomes.items()} == {
        "identity": "ok",
        "unsharp:mild": "ok",
        "lacking": "failed",
    }
    told = "needs no-such-package, not installed here. Install it: pip install 'no-such-package'"
    assert told in outcomes["lacking"]["reason"]
    capsys.readouterr()
    run("--methods", "lacking", *words[:-1], "alone", code=3)  # nothing else to run: said before anything is made
    assert told in capsys.readouterr().err and not (here / "alone").exists()


LACKING = {
    "requires: [no-such-package]\n": "Install it: pip install 'no-such-package'",
    "python: ./venv\n": "Make one: python3 -m venv",
    'command: [no-such-tool, "{input}", "{output}"]\n': "neither in",
}


@pytest.mark.parametrize("card", LACKING)
def test_what_one_method_lacks_costs_its_row_and_a_dry_run_says_so(here, plugin_folder, capsys, card):
    write_folder(here / "data", clips=["one"], frames=3)
    folder = write_plugin(plugin_folder, "lacking", CHANGES_COLOURS, card)
    if "command" in card:
        (folder / "card.yaml").write_text(f"name: lacking\ntitle: x\n{card}")
    words = ["--methods", "lacking,unsharp", "--data-root", "data", "--output", "out"]
    run(*words, "--dry-run", "--json", code=1)
    work = {row["method"]: (row["state"], row["why"]) for row in json.loads(capsys.readouterr().out)["work"]}
    assert work.pop("lacking")[0] == "problem" and {state for state, _ in work.values()} == {"new"}
    run(*words, "--dry-run", code=1)
    assert LACKING[card] in capsys.readouterr().out and not (here / "out").exists()
    run(*words, code=1)
    outcomes = {o["method"]: o for o in json.loads((here / "out" / "run.json").read_text())["outcomes"]}
    assert outcomes["lacking"]["status"] == "failed" and LACKING[card] in outcomes["lacking"]["reason"]
    assert outcomes["unsharp:mild"]["status"] == "ok"
    capsys.readouterr()
    run(*words, "--dry-run", "--json", code=1)
    work = {row["method"]: row["state"] for row in json.loads(capsys.readouterr().out)["work"]}
    assert work == {"identity": "cached", "unsharp:mild": "cached", "lacking": "problem"}
    run("--methods", "lacking", *words[2:-1], "alone", code=3)
    assert LACKING[card] in capsys.readouterr().err and not (here / "alone").exists()


def test_names_that_are_not_utf8_are_refused(here, capsys):
    root = write_folder(here / "data", clips=["one"], frames=2)
    for side in ("blur", "sharp"):
        shutil.copytree(root / side / "one", root / side / os.fsdecode(b"caf\xe9"))
    run("--methods", "identity", "--data-root", "data", "--output", "out", code=2)
    assert "not UTF-8" in capsys.readouterr().err and not (here / "out").exists()
    run("--methods", "identity", "--data-root", "data", "--output", "out", "--clips", "one")


def test_a_damaged_manifest_costs_nothing_computed(here, capsys):
    write_folder(here / "data", clips=["one"], frames=3)
    words = ["--methods", "identity", "--data-root", "data", "--output", "out"]
    run(*words)
    scores = (here / "out" / "scores.csv").read_bytes()
    stamp = (here / "out" / "parts" / "identity" / "one.json").stat().st_mtime_ns
    (here / "out" / "run.json").write_text("{")
    run(*words)
    assert "run.json.damaged" in capsys.readouterr().err
    assert (here / "out" / "scores.csv").read_bytes() == scores
    assert (here / "out" / "parts" / "identity" / "one.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("step", ["write_reports", "print_results"])
def test_ctrl_c_after_the_last_clip_says_how_to_resume(here, monkeypatch, capsys, step):
    write_folder(here / "data", clips=["one"], frames=3)
    monkeypatch.setattr(f"deblurbench.cli.run.{step}", interrupt)
    run("--methods", "identity", "--data-root", "data", "--output", "out", code=130)
    assert "Resume with" in capsys.readouterr().err


def test_a_damaged_part_is_left_by_a_dry_run_and_kept_aside_by_a_run(here, capsys):
    write_folder(here / "data", clips=["one"], frames=3)
    words = ["--methods", "identity", "--data-root", "data", "--output", "out"]
    run(*words)
    scores = (here / "out" / "scores.csv").read_bytes()
    part = here / "out" / "parts" / "identity" / "one.json"
    part.write_text("{")
    capsys.readouterr()
    run(*words, "--dry-run", "--json")
    (told,) = json.loads(capsys.readouterr().out)["work"]
    assert (told["state"], told["why"]) == ("stale", "damaged record")
    assert part.read_text() == "{" and not part.with_suffix(".damaged").exists()
    run(*words)
    assert "identity on one is done again (damaged record)" in capsys.readouterr().err
    assert part.with_suffix(".damaged").read_text() == "{"
    assert (here / "out" / "scores.csv").read_bytes() == scores


def test_changed_data_are_noticed_and_the_rest_is_kept(here, capsys):
    root = write_folder(here / "data", frames=3)
    words = ["--methods", "identity", "--data-root", "data", "--output", "out"]
    run(*words)
    before = read_scores(here / "out")
    frame = root / "blur" / "one" / "000001.png"
    shutil.copy(root / "blur" / "one" / "000000.png", frame)
    run(*words)
    assert "done again (changed since: data)" in capsys.readouterr().err
    changed = {(a["clip"], a["frame"]) for a, b in zip(before, read_scores(here / "out"), strict=True) if a != b}
    assert changed == {("one", "000001")}


def test_a_plugin_that_writes_into_the_dataset_has_no_scores(here, plugin_folder):
    root = write_folder(here / "data", clips=["one"], frames=3)
    last = root / "sharp" / "one" / "000002.png"
    write_plugin(plugin_folder, "writes", RUDE.replace('os.chdir("/")', f"os.utime({str(last)!r}, (1, 1))"))
    run("--methods", "writes", "--data-root", "data", "--output", "out", code=1)
    assert {row["method"] for row in read_scores(here / "out")} == {"identity"}
    outcomes = {o["method"]: o for o in json.loads((here / "out" / "run.json").read_text())["outcomes"]}
    assert "changed since the run was planned" in outcomes["writes"]["reason"]


def test_halves_computed_under_different_packages_are_told(here, capsys):
    write_folder(here / "data", frames=2)
    words = ["--methods", "identity", "--data-root", "data", "--output", "out"]
    run(*words)
    store = Store(here / "out")
    part = store.read_part("identity", "one")
    store.write_part(replace(part, outcome=part.outcome.model_copy(update={"environment": "another torch"})))
    run(*words)
    assert "mixed environments" in " ".join(capsys.readouterr().out.split())  # wherever a terminal breaks the line
    assert "mixed environments" in (here / "out" / "report" / "table.md").read_text()


def test_frames_smaller_than_a_method_takes_are_refused_with_its_need(here, plugin_folder):
    write_folder(here / "data", clips=["one"], frames=2)
    write_plugin(plugin_folder, "large", RUDE, "needs: {min_size: 50}\n")
    run("--methods", "large", "--data-root", "data", "--output", "out", code=1)
    outcomes = {o["method"]: o for o in json.loads((here / "out" / "run.json").read_text())["outcomes"]}
    assert outcomes["large"]["kind"] == "refused" and "this clip has 64x48" in outcomes["large"]["reason"]


def test_deleted_frames_are_made_again(here):
    write_folder(here / "data", clips=["one"], frames=3)
    words = ["--methods", "identity", "--data-root", "data", "--output", "out"]
    run(*words)
    for name in ("identity", "_ground-truth"):
        kept = here / "out" / "frames" / name / "one"
        files = {file.name: file.read_bytes() for file in kept.iterdir()}
        shutil.rmtree(kept)
        run(*words)
        assert {file.name: file.read_bytes() for file in kept.iterdir()} == files and files


def test_names_are_only_names(here, capsys):
    clips = ["<b>bold", "ünï cødé 1", "[red]x", "50% $HOME; 'q'"]
    write_folder(here / "data", clips=clips, frames=2)
    run("--methods", "identity", "--data-root", "data", "--output", "out with blanks", "--clips", "<b>bold,[red]x,")
    assert "[red]x" in capsys.readouterr().err
    assert {row["clip"] for row in read_scores(here / "out with blanks")} == {"<b>bold", "[red]x"}
    page = (here / "out with blanks" / "report" / "index.html").read_text()
    assert "<b>bold" not in page and "b>bold" not in page.replace("&lt;b&gt;bold", "").replace(r"\u003cb\u003ebold", "")
    run("--methods", "identity", "--data-root", "data", "--output", "all")
    assert {row["clip"] for row in read_scores(here / "all")} == set(clips)


def test_the_data_root_may_be_named_from_anywhere_or_by_the_environment(here, monkeypatch):
    write_folder(here / "data", clips=["one"], frames=2)
    words = ["--methods", "identity", "--output", here / "out"]
    run(*words, "--data-root", "data")
    stamp = (here / "out" / "parts" / "identity" / "one.json").stat().st_mtime_ns
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")
    run(*words, "--data-root", "../data")
    assert (here / "out" / "parts" / "identity" / "one.json").stat().st_mtime_ns == stamp
    monkeypatch.setenv("DEBLURBENCH_DATA", "../data")
    run("--methods", "identity", "--output", "by-environment", "--save-frames", "none")
    assert read_scores(Path("by-environment")) == read_scores(here / "out")
    assert not list(Path("by-environment").rglob("*.png"))


def test_without_ground_truth_frames_are_restored_and_tables_say_so(here, capsys):
    write_folder(here / "data", clips=["one"], frames=2, sharp=None)
    run("--methods", "identity", "--data-root", "data", "--output", "out", "--save-frames", "all")
    assert "no ground truth" in capsys.readouterr().out
    assert len(list((here / "out" / "frames" / "identity" / "one").glob("*.png"))) == 2
    deblurbench("report", "out", "--json")
    assert json.loads(capsys.readouterr().out)["methods"][0]["state"] == "ok"
    run("--methods", "identity", "--data-root", "data", "--output", "out", "--save-frames", "all")
    assert "2 frames are there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--methods", ",", "--data-root", "data"], "--methods"),
        (["--methods", "identity", "--data-root", "data", "--clips", ","], "--clips"),
        (["--methods", "identity", "--data-root", "data", "--metrics", ","], "--metrics"),
        (["--methods", "identity", "--data-root", "data", "--device", "tpu"], "tpu"),
        (["--methods", "identity", "--data-root", "data", "--limit", "0"], "--limit"),
        (["--methods", "identity", "--data-root", "data", "--timeout", "0"], "--timeout"),
    ],
)
def test_options_that_say_nothing_are_refused_before_anything_is_made(here, capsys, words, said):
    write_folder(here / "data", clips=["one"], frames=2)
    run(*words, "--output", "out", code=2)
    assert said in capsys.readouterr().err
    assert not (here / "out").exists()


def test_another_clips_damage_does_not_hide_why_a_method_failed(here, plugin_folder):
    write_plugin(plugin_folder, "raises", LEAVES.replace("sys.exit(0)", "raise ValueError('boom')"))
    data = write_folder(here / "data", clips=["one", "two"], frames=2)
    file = data / "blur" / "two" / "000000.png"
    file.write_bytes(file.read_bytes()[:20])
    run("--methods", "raises", "--data-root", data, "--metrics", "psnr", "--output", "out", code=1)
    told = {o["clip"]: o["reason"] for o in json.loads(Path("out/run.json").read_text())["outcomes"]}
    assert "000000.png" in told["two"]
    outcomes = json.loads(Path("out/run.json").read_text())["outcomes"]
    why = next(o["reason"] for o in outcomes if (o["method"], o["clip"]) == ("raises", "one"))
    assert why == "frame 000000: ValueError: boom (method.py:6)"
    table = Path("out/report/table.csv").read_text()
    assert table.splitlines()[0] == "method,psnr,seconds"  # the metrics asked for, though no row has a mean


def test_the_ground_truth_that_is_kept_is_that_of_the_scores(here):
    data = write_folder(here / "data", clips=["one"], frames=3)
    words = (
        "--methods",
        "identity",
        "--data-root",
        data,
        "--metrics",
        "psnr",
        "--save-frames",
        "all",
        "--output",
        "out",
    )
    run(*words)
    for side in ("blur", "sharp"):
        for file in (data / side / "one").iterdir():
            cv2.imwrite(str(file), 255 - cv2.imread(str(file)))
    run(*words)
    kept = cv2.imread(str(Path("out/frames/_ground-truth/one/000000.png")))
    assert (kept == cv2.imread(str(data / "sharp" / "one" / "000000.png"))).all()
