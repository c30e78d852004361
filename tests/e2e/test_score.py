"""`deblurbench score`: frames of somebody else, matched by name, scored as a method of a run like any other."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblurbench.evaluation.evaluator import SWAPPED
from deblurbench.frames.video_write import write_video
from deblurbench.results.manifest import MIXED
from deblurbench.results.store import Store
from tests.e2e.conftest import read_scores
from tests.e2e.inprocess import deblurbench, interrupt
from tests.fakes import write_folder


def image(file: Path) -> np.ndarray:
    return cv2.imread(str(file), cv2.IMREAD_COLOR)[:, :, ::-1]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two clips of seven frames."""
    return write_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture
def theirs(data, tmp_path) -> Path:
    """Half-restored frames: the mean of blurry and sharp, under the clips' own names."""
    folder = tmp_path / "their frames"
    for file in data.glob("blur/*/*.png"):
        place = folder / file.parent.name / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        sharp = image(data / "sharp" / file.parent.name / file.name)
        half = np.rint((image(file).astype(float) + sharp) / 2).astype(np.uint8)
        cv2.imwrite(str(place), half[:, :, ::-1])
    return folder


@pytest.fixture
def words(data, tmp_path) -> list[object]:
    return ["--dataset", "folder", "--data-root", data, "--metrics", "psnr,ssim", "--output", tmp_path / "run"]


def values(run: Path, method: str) -> dict[tuple[str, str, str], float]:
    rows = [row for row in read_scores(run) if row["method"] == method]
    return {(row["clip"], row["frame"], row["metric"]): float(row["value"]) for row in rows}


def test_the_folder_stands_as_a_method_with_scikit_images_numbers(data, theirs, words, tmp_path, capsys):
    deblurbench("score", theirs, *words)
    run = tmp_path / "run"
    found = values(run, "their-frames")
    assert len(found) == 2 * 7 * 2 == len(values(run, "identity"))
    for (clip, frame, metric), value in found.items():
        pair = image(data / "sharp" / clip / f"{frame}.png"), image(theirs / clip / f"{frame}.png")
        twin = (
            peak_signal_noise_ratio(*pair, data_range=255) if metric == "psnr" else
            structural_similarity(*pair, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255,
                                  channel_axis=2)
        )  # fmt: skip
        assert value == pytest.approx(twin, abs=1e-6)
    record = json.loads((run / "run.json").read_text())["methods"][1]
    assert record["id"] == "their-frames" and record["weights"] == "scored from files"
    assert "their-frames" not in (run / "timings.csv").read_text()
    told = capsys.readouterr()
    assert "their-frames" in told.out and "one: " in told.err and "7 of 7 scored frames" in told.err
    assert "their-frames" in (run / "report" / "index.html").read_text()

    part = run / "parts" / "their-frames" / "one.json"
    stamp = part.stat().st_mtime_ns
    deblurbench("score", theirs, *words)
    assert part.stat().st_mtime_ns == stamp and values(run, "their-frames") == found
    shutil.copyfile(data / "sharp" / "one" / "000003.png", theirs / "one" / "000003.png")
    deblurbench("score", theirs, *words)
    assert values(run, "their-frames")["one", "000003", "psnr"] == float("inf")

    deblurbench("score", theirs, *words, "--name", "other", code=2)
    assert "another request" in capsys.readouterr().err


def test_ctrl_c_while_the_report_is_written_says_how_to_resume(theirs, words, monkeypatch, capsys):
    monkeypatch.setattr("deblurbench.cli.support.output.write_reports", interrupt)
    deblurbench("score", theirs, *words, code=130)
    assert "Resume with" in capsys.readouterr().err


def test_a_metric_that_came_is_computed_for_what_was_scored_before(theirs, words, tmp_path):
    deblurbench("score", theirs, *words)
    store = Store(tmp_path / "run")
    found, part = values(store.folder, "their-frames"), store.read_part("their-frames", "one")
    assert part.key["metric weights"] == ""
    store.write_part(replace(part, scores=[score for score in part.scores if score[1] != "ssim"]))
    deblurbench("score", theirs, *words)
    assert values(store.folder, "their-frames") == found


@pytest.mark.parametrize("option", ["--clips", "--metrics"])
def test_an_option_that_names_nothing_is_refused(theirs, words, tmp_path, capsys, option):
    deblurbench("score", theirs, *words, option, "", code=2)
    assert f"{option} '' names nothing" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_frames_that_a_run_saved_score_the_same_and_share_a_table(data, words, tmp_path, capsys):
    first = tmp_path / "first"
    deblurbench("run", "--methods", "identity", *words[:-1], first, "--save-frames", "all", "--in-process")
    deblurbench("score", first / "frames" / "identity", *words, "--name", "again:v2")
    assert values(tmp_path / "run", "again:v2") == values(first, "identity")
    capsys.readouterr()
    deblurbench("report", first, tmp_path / "run", "--json")
    methods = json.loads(capsys.readouterr().out)["methods"]
    assert [m["method"] for m in methods] == ["identity", "again:v2"]


def test_halves_scored_in_unlike_environments_are_told(theirs, words, tmp_path):
    def warnings() -> list[str]:
        deblurbench("score", theirs, *words)
        return json.loads((tmp_path / "run" / "run.json").read_text())["warnings"]

    assert MIXED not in warnings()
    store = Store(tmp_path / "run")
    for method in ("their-frames", "identity"):
        part = store.read_part(method, "one")
        store.write_part(replace(part, outcome=part.outcome.model_copy(update={"environment": "another"})))
        assert warnings().count(MIXED) == 1  # the runner tells it of its own methods in the same words
    assert MIXED in (tmp_path / "run" / "report" / "table.md").read_text()


def test_a_folder_named_in_decomposed_unicode_is_the_clip(tmp_path):
    root = write_folder(tmp_path / "data", clips=["caf\u00e9", "two"], frames=2)
    shutil.copytree(root / "sharp", tmp_path / "theirs")
    (tmp_path / "theirs" / "caf\u00e9").rename(tmp_path / "theirs" / "cafe\u0301")
    words = ["--dataset", "folder", "--data-root", root, "--metrics", "psnr", "--output", tmp_path / "run"]
    deblurbench("score", tmp_path / "theirs", *words)
    assert {clip for clip, _, _ in values(tmp_path / "run", "theirs")} == {"caf\u00e9", "two"}


def test_frames_written_as_bgr_are_told_below_the_table(theirs, words, tmp_path):
    for file in theirs.glob("*/*.png"):
        cv2.imwrite(str(file), image(file))  # RGB handed to a writer that takes BGR
    for _ in ("scored", "kept"):
        deblurbench("score", theirs, *words)
        table = (tmp_path / "run" / "report" / "table.md").read_text()
        assert table.count(f"their-frames: {SWAPPED}") == 1 and "identity: its frames" not in table


def test_every_fault_of_a_folder_is_named_at_once_and_nothing_is_scored(theirs, words, tmp_path, capsys):
    (theirs / "two").rename(theirs / "tow")
    (theirs / "one" / "000002.png").unlink()
    cv2.imwrite(str(theirs / "one" / "000099.png"), np.zeros((48, 64, 3), np.uint8))
    (theirs / "notes.txt").write_text("ours")
    deblurbench("score", theirs, *words, code=2)
    told = capsys.readouterr().err
    for said in ("tow: no clip", "'two'", "one: 1 frames", "000099", "1 of 7 scored frames are missing", "000002"):
        assert said in told, said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda folder: (folder / "one" / "000002.png").unlink(), 3, "1 of 7 scored frames are missing"),
        (lambda folder: shutil.rmtree(folder / "two"), 3, "two: no folder and no video"),
        (lambda folder: [f.rename(f.with_stem(f"{int(f.stem) + 50:06d}")) for f in list(folder.glob("one/*"))], 2,
         "nothing is matched by position"),
        (lambda folder: cv2.imwrite(str(folder / "one" / "000002.png"), np.zeros((24, 32, 3), np.uint8)), 2,
         "32x24 pixels, the ground truth has 64x48"),
        (lambda folder: (folder / "one" / "000002.png").write_bytes(b"<html>"), 2, "web page"),
        (lambda folder: shutil.copyfile(folder / "one" / "000002.png", folder / "000002.png"), 2, "directly"),
    ],
    ids=["missing frame", "missing clip", "renumbered", "size", "no image", "mixed"],
)  # fmt: skip
def test_a_doubt_is_an_error(theirs, words, capsys, change, code, said):
    change(theirs)
    deblurbench("score", theirs, *words, code=code)
    assert said in capsys.readouterr().err


def test_a_lossless_video_a_clip_scores_as_its_frames(theirs, words, tmp_path, capsys):
    videos = tmp_path / "videos"
    for clip in ("one", "two"):
        write_video(videos / f"{clip}.mkv", (image(f) for f in sorted((theirs / clip).iterdir())), 24)
    deblurbench("score", videos, *words)
    deblurbench("score", theirs / "two", *words[:-1], tmp_path / "flat", "--clips", "two", "--name", "flat")
    of_two = {key: value for key, value in values(tmp_path / "run", "videos").items() if key[0] == "two"}
    assert len(of_two) == 14 and of_two == values(tmp_path / "flat", "flat")
    alone = (videos / "two.mkv", *words, "--output", tmp_path / "alone")
    deblurbench("score", *alone, code=2)
    assert "one video stands for one clip, but 2 are selected" in capsys.readouterr().err
    deblurbench("score", *alone, "--clips", "two", "--name", "videos")
    assert of_two == {k: v for k, v in values(tmp_path / "alone", "videos").items()}
    write_video(videos / "one.mkv", [image(theirs / "one" / "000000.png")] * 6, 24)
    deblurbench("score", videos, *words, code=2)
    assert "one.mkv has 6 frames and the clip 7" in capsys.readouterr().err
