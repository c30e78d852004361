"""The report page: same bytes, hostile names, every state a run can be in, no torch."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deblurbench.errors import DiskError
from deblurbench.frames.images import read_frame, write_png
from deblurbench.registry.cards import ReportCard
from deblurbench.registry.discovery import plugin
from deblurbench.registry.protocol import Protocol
from deblurbench.results.run import Run
from deblurbench.results.store import GROUND_TRUTH
from tests import fake_run
from tests.fake_run import METRICS, Fake, reseal

SMALL = {"size": (120, 100), "clips": ("clip-01", "clip-02", "clip-03")}
TIMES = "\N{MULTIPLICATION SIGN}"
HOSTILE = "<img src=x onerror=alert(1)>"


def report(name: str, run: Run, folder: Path) -> list[Path]:
    found = plugin("reports", name)
    assert isinstance(found.card, ReportCard)
    return found.load()(found.card).write([run], folder)


def page(run: Run, folder: Path) -> str:
    files = report("gallery", run, folder)
    assert files[0] == folder / "index.html" and all(file.is_file() for file in files)
    return files[0].read_text(encoding="utf-8")


def digests(folder: Path) -> dict[str, str]:
    return {
        str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.rglob("*") if f.is_file()
    }


def test_same_run_same_bytes(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(pictures=True, **SMALL))
    for name in ("tables", "gallery"):
        report(name, run, tmp_path / "one")
        report(name, Run.open(run.folder), tmp_path / "two")
    first = digests(tmp_path / "one")
    assert first == digests(tmp_path / "two")
    assert {"index.html", "table.md", "table.tex", "table.csv", "data.js", "style.css"} <= set(first)


def test_pictures_are_lossless_and_chosen_by_the_rule(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(pictures=True, **SMALL))
    text = page(run, tmp_path / "report")
    with Image.open(tmp_path / f"report/images/clip-01/000008-srn-rgb-{_digest('srn:rgb')}.webp") as image:
        shown = np.asarray(image.convert("RGB"))
    assert np.array_equal(shown, read_frame(run.frames("srn:rgb", "clip-01")["000008"]))
    for stem in ("000006", "000008", "000010"):  # 1/6, 1/2, 5/6 of the scored frames 000005 to 000011
        assert f"Frame {stem}" in text
    assert f"96&thinsp;{TIMES}&thinsp;96 window" in text


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def test_crop_is_where_the_frames_differ_most() -> None:
    from deblurbench.plots.crops import most_different, most_varied

    one = np.zeros((200, 300, 3), np.uint8)
    two = one.copy()
    two[150:160, 250:260] = 120
    two[20:24, 20:24] = 255
    x, y, width, height = most_different(one, two, 96, 96)
    assert (width, height) == (96, 96)
    assert x <= 250 and x + width >= 260 and y <= 150 and y + height >= 160
    assert most_different(one[:50, :60], two[:50, :60], 96, 96) == (0, 0, 60, 50)
    three = one.copy()
    three[100:110, 10:20] = 90
    crop, variance = most_varied((two, two, three), 10, 10)
    stack = np.stack([two, two, three]).astype(float)[:, crop.y : crop.y + 10, crop.x : crop.x + 10]
    assert variance == pytest.approx(stack.var(axis=0).mean())
    assert (crop.x, crop.y) == (250, 150)


def test_the_crop_is_where_the_methods_differ_not_input_and_truth(tmp_path: Path) -> None:
    fake = Fake(pictures=True, methods={"identity": 1.0, "one": 0.5, "two": 0.5}, clips=("only",), size=(200, 100))
    run = fake_run.write(tmp_path / "run", fake)
    for method, colour in (("identity", 0), ("one", 100), ("two", 100)):
        for file in run.frames(method, "only").values():
            frame = np.full((100, 200, 3), colour, np.uint8)
            frame[40:60, 150:170] = 130 if method == "two" else colour
            write_png(file, frame)
    text = page(run, tmp_path / "report")
    rectangle = re.search(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"/></svg>', text)
    assert rectangle is not None
    x, y, width, height = map(int, rectangle.groups())
    assert x <= 150 and x + width >= 170 and y <= 40 and y + height >= 60
    assert re.search(r'id="difference"', text)


def test_old_pictures_are_cleared(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(pictures=True, **SMALL))
    page(run, tmp_path / "report")
    stale = tmp_path / "report/images/gone/000001-x.webp"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    page(run, tmp_path / "report")
    assert not stale.parent.exists()


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    fake = Fake(
        pictures=True, size=(100, 100), clips=(HOSTILE, "a/../b c", "ü '\"&"),
        methods={"identity": 1.0, "x$<b>_y": 0.5},
        changes={"device": "<script>alert(2)</script>", "command": "run '</pre><script>'"},
    )  # fmt: skip
    text = page(fake_run.write(tmp_path / "run", fake), tmp_path / "report")
    assert "<img src=x" not in text and "&lt;img src=x" in text
    assert text.count("<script") == text.count("<script src=") and "<b>_y" not in text
    assert "<" not in (tmp_path / "report/data.js").read_text()
    for file in (tmp_path / "report" / "images").rglob("*"):
        assert set(file.name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"), file
    assert "<b>" not in text


def test_page_needs_nothing_from_outside_and_no_inline_code(tmp_path: Path) -> None:
    text = page(fake_run.write(tmp_path / "run", Fake(pictures=True, **SMALL)), tmp_path / "report")
    assert "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self'; script-src 'self'" in text
    assert "http://" not in text and "https://" not in text
    assert " style=" not in text and "onclick" not in text and "<style" not in text
    for file in sorted((tmp_path / "report").glob("*.js")):
        script = file.read_text()
        words = ("fetch(", "import ", "innerHTML", "XMLHttpRequest", "eval(")
        pixels = () if file.name == "pixels.js" else ("getImageData", "toDataURL")  # fails on pictures from the disk
        for word in (*words, *pixels):
            assert word not in script, (file.name, word)


def test_no_frames_kept_says_how_to_get_them(tmp_path: Path) -> None:
    request = {"methods": ["srn"], "dataset": "mini", "save_frames": "none"}
    text = page(fake_run.write(tmp_path / "run", Fake(changes={"request": request})), tmp_path / "report")
    assert "--save-frames sample" in text and "viewer.js" not in text and 'class="curves scripted"' in text


def test_deleted_frames_are_told(tmp_path: Path) -> None:
    text = page(fake_run.write(tmp_path / "run", Fake()), tmp_path / "report")
    assert "holds none of them any more" in text


def test_a_damaged_picture_is_told_and_the_rest_shown(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(pictures=True, **SMALL))
    run.frames("srn:rgb", "clip-01")["000008"].write_bytes(b"")
    text = page(run, tmp_path / "report")
    assert "the file is empty (0 bytes)" in text and "Frame 000006" in text


def test_no_ground_truth_has_pictures_and_no_scores(tmp_path: Path) -> None:
    fake = Fake(pictures=True, ground_truth=False, size=(100, 100), clips=("one",))
    text = page(fake_run.write(tmp_path / "run", fake), tmp_path / "report")
    assert "There is no ground truth, so there are no scores" in text
    assert "Frame 000008" in text and "Ground truth" not in text and "PSNR" not in text


def test_one_clip_has_no_interval_and_says_why(tmp_path: Path) -> None:
    text = page(fake_run.write(tmp_path / "run", Fake(clips=("only",))), tmp_path / "report")
    assert "No interval: 1 clip, and an interval needs at least 3" in text
    assert "1 clip is too few for a test, 6 would do" in text


def test_failed_method_has_a_row_with_reason_and_traceback(tmp_path: Path) -> None:
    fake = Fake(pictures=True, failed={"srn:rgb": "clip-03"}, **SMALL)
    text = page(fake_run.write(tmp_path / "run", fake), tmp_path / "report")
    assert "failed on 1 of 3 clips: clip-03: ValueError: boom on frame 000007" in text
    assert "&lt;b&gt;on frame 57&lt;/b&gt;" in text and "<details>" in text


def test_twenty_methods(tmp_path: Path) -> None:
    methods = {"identity": 1.0, **{f"method{n}:v": 0.95 - n * 0.04 for n in range(19)}}
    text = page(fake_run.write(tmp_path / "run", Fake(methods=methods)), tmp_path / "report")
    assert text.count('<th scope="row" data-sort=') == 20
    swatches = re.findall(r'<svg class="swatch s.*?</svg>', text)
    assert len(set(swatches)) == 20  # colours repeat with another marker and dash


def test_leaks_and_infinite_frames(tmp_path: Path) -> None:
    text = page(fake_run.write(tmp_path / "run", Fake(leaks={"srn:rgb": 3})), tmp_path / "report")
    assert f"3 {TIMES} ∞" in text and "suspected leak" in text
    assert "in one test of all pairs of methods" in text


def test_random_weights_are_never_called_best(tmp_path: Path) -> None:
    changes = {"srn:rgb": {"random_weights": True}}
    text = page(fake_run.write(tmp_path / "run", Fake(method_changes=changes)), tmp_path / "report")
    assert "ifirnn:C2H3 has the highest mean PSNR" in text
    assert "srn:rgb: random weights, untrained" in text


def test_several_runs_in_one_page(tmp_path: Path) -> None:
    one = fake_run.write(tmp_path / "one", Fake(pictures=True, methods={"identity": 1.0, "a": 0.6}, **SMALL))
    two = fake_run.write(tmp_path / "two", Fake(pictures=True, methods={"identity": 1.0, "b": 0.5}, **SMALL))
    found = plugin("reports", "gallery")
    text = found.load()(found.card).write([one, two], tmp_path / "report")[0].read_text(encoding="utf-8")
    assert "A comparison of b and a with the blurry input" in text and "Run 2: mini" in text
    for label in ("identity", "a", "b", "ground truth"):
        assert text.count(f'data-label="{label}"') == 9


def test_metrics_with_one_value_a_clip(tmp_path: Path) -> None:
    tof = METRICS[0].model_copy(update={"id": "tof", "unit": "", "higher_is_better": False, "level": "clip"})
    run = fake_run.write(tmp_path / "run", Fake(changes={"metrics": [*METRICS, tof]}))
    lines = [f"{m.id},mini,{clip.name},,tof,{0.25 + n}" for m in run.manifest.methods
             for n, clip in enumerate(run.manifest.clips)]  # fmt: skip
    with (run.folder / "scores.csv").open("a") as file:
        file.write("\n".join(lines) + "\n")
    reseal(run.folder)
    text = page(Run.open(run.folder), tmp_path / "report")
    assert "This metric has one value a clip, none a frame." in text
    assert text.count(">3.75</span>") == 3  # 0.25 + the mean of 0..7, in every row
    assert text.count("TOF 3.75: mean of 8 clips") == 3 and ": mean of 56 frames; mean of" in text


def test_a_frame_is_worse_only_where_its_value_is(tmp_path: Path) -> None:
    lower = METRICS[0].model_copy(update={"id": "lower", "higher_is_better": False})
    changes = {"metrics": [lower, *METRICS]}
    run = fake_run.write(tmp_path / "run", Fake(pictures=True, changes=changes, **SMALL))
    values = {"identity": 1.0, "ifirnn:C2H3": 1.0, "srn:rgb": 2.0}
    lines = [f"{m},mini,{clip.name},{stem},lower,{v}" for m, v in values.items() for clip in run.manifest.clips
             for stem in clip.scored]  # fmt: skip
    with (run.folder / "scores.csv").open("a") as file:
        file.write("\n".join(lines) + "\n")
    reseal(run.folder)
    text = page(Run.open(run.folder), tmp_path / "report")
    assert text.count("<i>+0.00</i>") == text.count('<i class="worse">+1.00</i>') == 9


def test_frame_values_without_ground_truth_have_curves(tmp_path: Path) -> None:
    sharp = METRICS[0].model_copy(update={"id": "sharpness", "unit": ""})
    protocol = Protocol(name="folder", blur="as-found")
    fake = Fake(ground_truth=False, protocol=protocol, changes={"metrics": [sharp]}, **SMALL)
    run = fake_run.write(tmp_path / "run", fake)
    clips = [clip.model_copy(update={"scored": []}) for clip in run.manifest.clips]
    run.store.write_manifest(run.manifest.model_copy(update={"clips": clips}))
    lines = [f"{m.id},folder,{clip.name},{stem},sharpness,{0.5 + n}" for m in run.manifest.methods
             for clip in clips for n, stem in enumerate(clip.frames)]  # fmt: skip
    with (run.folder / "scores.csv").open("a") as file:
        file.write("\n".join(lines) + "\n")
    reseal(run.folder)
    text = page(Run.open(run.folder), tmp_path / "report")
    assert "This metric has one value a clip" not in text
    assert text.count('data-metric="sharpness"') == 3


def test_times_of_several_devices_are_not_plotted_on_one_axis(tmp_path: Path) -> None:
    found = plugin("reports", "gallery")
    one = fake_run.write(tmp_path / "one", Fake(methods={"identity": 1.0, "a": 0.6}, **SMALL))
    other = {"device": "NVIDIA H200 (cuda:0)"}
    two = fake_run.write(tmp_path / "two", Fake(methods={"identity": 1.0, "b": 0.5}, changes=other, **SMALL))
    text = found.load()(found.card).write([one, two], tmp_path / "report")[0].read_text(encoding="utf-8")
    assert (
        "No plot: the times were taken on CPU: AMD EPYC 9354, 2 threads (fp32) and NVIDIA H200 (cuda:0) (fp32)" in text
    )
    assert "against seconds per frame, one point" not in text
    assert "against seconds per frame, one point" in page(one, tmp_path / "alone")


def test_the_page_alone_does_not_promise_tables_beside_it(tmp_path: Path) -> None:
    text = page(fake_run.write(tmp_path / "run"), tmp_path / "report")
    assert "table.csv" not in text and "deblurbench report --kind tables" in text


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file is in the way")
    with pytest.raises(DiskError, match="cannot be written"):
        page(fake_run.write(tmp_path / "run"), tmp_path / "report")


def test_reports_do_not_import_torch(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(pictures=True, size=(100, 100), clips=("one",)))
    code = (
        "import sys; from pathlib import Path\n"
        "from deblurbench.registry.discovery import plugin; from deblurbench.results.run import Run\n"
        f"run = Run.open(Path({str(run.folder)!r}))\n"
        "for name in ('tables', 'gallery'):\n"
        f"    p = plugin('reports', name); p.load()(p.card).write([run], Path({str(tmp_path / 'report')!r}))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert run.ground_truth_frames("one") and GROUND_TRUTH


def test_who_is_not_different_from_the_best_is_marked(tmp_path: Path) -> None:
    methods = {"identity": 1.0, "good": 0.5, "twin": 0.5, "poor": 0.8}
    text = page(fake_run.write(tmp_path / "run", Fake(methods=methods)), tmp_path / "report")
    marks = text.count('aria-label="not distinguishable from the best"')
    assert marks >= 1 and "not distinguishable from the best" in text
    best = text.partition("</b> second")[0].partition("Not distinguishable from it on these clips: ")[2]
    assert best.startswith(("good.", "twin."))
    few = page(fake_run.write(tmp_path / "few", Fake(methods=methods, clips=("a", "b"))), tmp_path / "report2")
    assert 'class="near" role' not in few
    assert "Differences are not tested: 2 clips are too few for a test, 6 would do." in few


def test_the_paper_column_holds_difference_or_reason(tmp_path: Path) -> None:
    text = page(fake_run.write(tmp_path / "run"), tmp_path / "report")
    assert "paper reports 29.80 dB under gopro:nah2019; this run is mini" in text
    protocol = Protocol(name="gopro:nah2019", blur="gamma", leave_out=(4, 1))
    text = page(fake_run.write(tmp_path / "same", Fake(protocol=protocol)), tmp_path / "report2")
    assert "PSNR 29.80 dB, ours \N{MINUS SIGN}" in text and "paper reports 29.80" not in text
    text = page(fake_run.write(tmp_path / "none", Fake(methods={"identity": 1.0, "x": 0.5})), tmp_path / "report3")
    assert ">Paper<" not in text


def test_data_of_the_scripts(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(clips=("one", HOSTILE), leaks={"srn:rgb": 2}))
    page(run, tmp_path / "report")
    text = (tmp_path / "report/data.js").read_text(encoding="ascii")
    data = json.loads(text.removeprefix("window.deblurbenchData = ").removesuffix(";\n"))
    assert [m["key"] for m in data["metrics"]] == ["psnr", "ssim", "seconds"]
    assert [m["label"] for m in data["methods"]] == ["identity", "srn:rgb", "ifirnn:C2H3"]
    one, hostile = data["clips"]
    assert hostile["name"] == HOSTILE and len(one["frames"]) == 7
    assert one["values"]["psnr"][1][:2] == ["inf", "inf"] and one["values"]["psnr"][0][0] > 20
    finite = [v for v in one["values"]["psnr"][2] if v != "inf"]
    assert one["means"]["psnr"][2] == pytest.approx(sum(finite) / len(finite), abs=1e-4)
    assert one["values"]["seconds"][1][0] == pytest.approx(0.07, abs=0.02)
    assert data["runs"] == [{"name": "run", "path": "../run"}]
    assert data["tables"]["CSV"].startswith("method,psnr,ssim,seconds\n")
