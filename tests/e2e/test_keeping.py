"""Frames kept by `run --save-frames sample`: ranked by all methods, pruned, the same however often it was cut off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deblurbench.evaluation import runner
from deblurbench.evaluation.plan import make_plan
from deblurbench.evaluation.saved_frames import FrameKeeper
from deblurbench.results import frame_choice
from deblurbench.results.manifest import Request
from deblurbench.results.run import Run
from tests.conftest import write_plugin
from tests.e2e.inprocess import deblurbench
from tests.e2e.test_run import SHARPEN
from tests.fakes import write_folder

DIMS = """
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def restore_frame(self, frame):
        return frame * (0.9 if 0.4 < frame.mean() < 0.495 else 1.0)
"""
FAILS = """
from deblurbench.methods.base import Method
class Plugin(Method):
    def restore(self, frames):
        for position, frame in enumerate(frames):
            if position == 5 and {condition}:
                raise ValueError("boom")
            yield frame * 0.95
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("deblurbench.cli.main.signal.signal", lambda *_: None)
    monkeypatch.setattr(frame_choice, "FILM_BYTES", 0)
    return tmp_path


def run(data: Path, methods: str = "sharpen,dims", output: str = "out", save: str = "sample") -> Run:
    """A run in this process, without its report."""
    words = {"methods": methods.split(","), "dataset": "folder", "data_root": str(data), "metrics": ["psnr"]}
    folder = Path(output).resolve()
    runner.run(make_plan(Request(**words, save_frames=save)), folder, in_process=True)
    return Run.open(folder)


def kept(opened: Run, clip: str = "one") -> dict[str, list[str]]:
    return {
        folder.name: sorted(f.stem for f in (folder / clip).glob("*"))
        for folder in (opened.folder / "frames").iterdir()
    }


def by_hand(opened: Run, clip: str, methods: list[str]) -> list[str]:
    """Worst, median and best frame by the mean of the methods' PSNR, from scores.csv."""
    scores = opened.scores
    mine = scores[(scores["clip"] == clip) & scores["method"].isin(methods)]
    ranked = list(mine.groupby("frame")["value"].mean().sort_values(kind="stable").index)
    return [ranked[0], ranked[(len(ranked) - 1) // 2], ranked[-1]]


def test_kept_frames_are_those_of_the_rule_for_every_method(here: Path, plugin_folder: Path) -> None:
    write_plugin(plugin_folder, "sharpen", SHARPEN)
    write_plugin(plugin_folder, "dims", DIMS)
    opened = run(write_folder(here / "data", frames=13))
    for clip in ("one", "two"):
        record = next(c for c in opened.manifest.clips if c.name == clip)
        assert record.choice is not None
        worst, median, best = by_hand(opened, clip, ["sharpen", "dims"])
        why = record.choice.frames
        assert "worst" in why[worst] and "median" in why[median] and "best" in why[best]
        assert record.choice.ranked_by == ["sharpen", "dims"] and record.choice.candidates == 13
        expected = sorted({worst, median, best, *frame_choice.strided(record.scored)})
        assert kept(opened, clip) == dict.fromkeys(("_ground-truth", "identity", "sharpen", "dims"), expected)
        for method in ("identity", "sharpen", "dims"):
            part = opened.store.read_part(method, clip)
            assert part is not None and part.saved == expected and part.choice == record.choice
    stamps = {f: f.stat().st_mtime_ns for f in (opened.folder / "parts").rglob("*.json")}
    run(here / "data")
    assert stamps == {f: f.stat().st_mtime_ns for f in (opened.folder / "parts").rglob("*.json")}  # all is cached
    deblurbench("verify", opened.folder)


def test_a_sample_keeps_films_of_two_clips_and_a_report_plays_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_choice, "FILM_BYTES", 512 * 1024**2)
    data = write_folder(here / "data", clips=["a", "b", "c", "d"], frames=14)
    opened = run(data, methods="identity")
    stems = [f"{n:06d}" for n in range(14)]
    for clip in "abcd":
        saved = kept(opened, clip)["identity"]
        choice = opened.manifest.clips["abcd".index(clip)].choice
        assert choice is not None and saved == (stems if clip in "bd" else sorted(choice.frames))
    deblurbench("report", opened.folder)
    films = sorted(file.parent.name for file in (opened.folder / "report/videos").rglob("*.webm"))
    assert films == ["b", "b", "d", "d"]  # the input and the ground truth
    assert "at 1/4 and 3/4" in (opened.folder / "report/index.html").read_text()


def test_few_candidates_where_the_disk_holds_no_more(
    here: Path, plugin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin(plugin_folder, "sharpen", SHARPEN)
    write_plugin(plugin_folder, "dims", DIMS)
    monkeypatch.setattr(frame_choice, "CANDIDATE_BYTES", 5 * 2 * 64 * 48 * 4 * frame_choice.PNG_BYTES_A_PIXEL)
    opened = run(write_folder(here / "data", frames=15))
    choice = opened.manifest.clips[0].choice
    assert choice is not None and choice.of == 15 and 5 <= choice.candidates <= 8
    written = frame_choice.candidates(opened.manifest.clips[0].scored, 5)
    assert set(choice.frames) <= set(written) and len(kept(opened)["dims"]) == len(choice.frames)


def test_cut_off_while_pruning_it_ends_the_same(
    here: Path, plugin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin(plugin_folder, "sharpen", SHARPEN)
    write_plugin(plugin_folder, "dims", DIMS)
    data = write_folder(here / "data", clips=["one"], frames=13)
    whole = run(data, output="whole")
    real, calls = FrameKeeper._prune, []

    def cut(self: FrameKeeper, *words: object, **named: object) -> None:
        calls.append(words)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(self, *words, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(FrameKeeper, "_prune", cut)
    with pytest.raises(KeyboardInterrupt):
        run(data, output="cut")
    assert len(set(map(len, kept(Run.open(here / "cut")).values()))) > 1  # some pruned, some not
    monkeypatch.setattr(FrameKeeper, "_prune", real)
    again = run(data, output="cut")
    assert kept(again) == kept(whole) and again.manifest.clips == whole.manifest.clips


def test_a_failed_method_neither_ranks_nor_keeps_and_a_retry_saves_the_chosen(here: Path, plugin_folder: Path) -> None:
    write_plugin(plugin_folder, "sharpen", SHARPEN)
    flag = here / "works"
    condition = f"not __import__('pathlib').Path({str(flag)!r}).exists()"
    write_plugin(plugin_folder, "fails", FAILS.format(condition=condition))
    data = write_folder(here / "data", clips=["one"], frames=13)
    opened = run(data, methods="sharpen,fails")
    choice = opened.manifest.clips[0].choice
    assert choice is not None and choice.ranked_by == ["sharpen"]
    assert kept(opened).get("fails", []) == [] and kept(opened)["sharpen"] == list(choice.frames)
    flag.touch()
    again = run(data, methods="sharpen,fails")
    assert again.manifest.clips[0].choice == choice  # what is kept decides: nothing else is there any more
    assert kept(again)["fails"] == list(choice.frames)


def test_no_ground_truth_and_none_and_all(here: Path) -> None:
    data = write_folder(here / "data", sharp=None, clips=["one"], frames=12)
    opened = run(data, methods="identity", output="blind")
    choice = opened.manifest.clips[0].choice
    assert choice is not None and set(map(tuple, choice.frames.values())) == {("stride",)}
    assert kept(opened) == {"identity": ["000002", "000006", "000010"]}
    assert run(data, "identity", "all", "all").manifest.clips[0].choice is None
    run(data, "identity", "none", "none")
    assert not (here / "none" / "frames").exists()


def test_score_keeps_the_same_frames_for_the_folder(here: Path) -> None:
    data = write_folder(here / "data", clips=["one"], frames=13)
    deblurbench("score", data / "blur", "--name", "mine", "--dataset", "folder", "--data-root", data, "--metrics",
                "psnr", "--output", "scored")  # fmt: skip
    opened = Run.open(here / "scored")
    assert kept(opened)["mine"] == kept(opened)["identity"] == list(opened.manifest.clips[0].choice.frames)
    assert json.loads((here / "scored/run.json").read_text())["clips"][0]["choice"]["ranked_by"] == ["identity"]
