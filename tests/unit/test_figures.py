"""Figures for papers: the same bytes, pixels where they should be, names that do not overlap, errors that help."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
import pytest
from PIL import Image

from deblurbench.analysis.statistics import Interval
from deblurbench.cli.figure import figure
from deblurbench.errors import UsageError
from deblurbench.plots.crops import Crop, default_crop, parse_crop
from deblurbench.plots.layout import arrange
from deblurbench.plots.pictures import moment
from deblurbench.plots.runtime import Point, runtime
from deblurbench.plots.selection import select
from deblurbench.plots.strip import Shot, strip
from deblurbench.plots.style import looks, render, shorten, text_width
from deblurbench.results.run import Run
from deblurbench.results.store import GROUND_TRUTH
from tests import fake_run
from tests.fake_run import Fake

CLIPS = ("clip-01", "clip-02", "clip-03")
STRIP = ["--clip", "clip-01", "--frame", "000008"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fake_run.write(tmp_path_factory.mktemp("figures") / "run", Fake(pictures=True, size=(120, 80), clips=CLIPS))


def draw(run: Run, file: Path, *words: str) -> bytes:
    figure.main([str(run.folder), *words, "--output", str(file)], standalone_mode=False)
    return file.read_bytes()


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_same_run_same_bytes(run: Run, tmp_path: Path, suffix: str) -> None:
    for name, words in (("strip", [*STRIP, "--width", "single"]), ("clips", ["--kind", "clips"])):
        one, two = (draw(run, tmp_path / f"{name}-{n}{suffix}", *words) for n in "ab")
        assert one == two
        assert not any(word in one for word in (b"CreationDate", b"<dc:date>", b"Matplotlib v", b"tEXt"))
        if suffix == ".pdf":
            assert b"/FontFile2" in one and b"/Type3" not in one  # TrueType, embedded


def test_another_process_draws_the_same_bytes_without_torch(run: Run, tmp_path: Path) -> None:
    jobs = {
        "strip.pdf": STRIP, "clips.svg": ["--kind", "clips"], "frames.pdf": ["--kind", "frames"], "runtime.png": []
    }  # fmt: skip
    code = (
        "import sys\nfrom pathlib import Path\nfrom deblurbench.cli.figure import figure\n"
        f"for name, words in {jobs!r}.items():\n"
        f"    figure.main([{str(run.folder)!r}, *words, '--output', str(Path({str(tmp_path)!r}) / name)],"
        " standalone_mode=False)\n"
        "assert 'torch' not in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    for name, words in jobs.items():
        assert (tmp_path / name).read_bytes() == draw(run, tmp_path / f"here-{name}", *words), name


def test_a_persons_settings_change_nothing(run: Run, tmp_path: Path) -> None:
    plain = draw(run, tmp_path / "a.svg", "--kind", "frames", "--clip", "clip-02")
    with matplotlib.style.context({"lines.linewidth": 9, "axes.facecolor": "red", "font.size": 20}):
        assert draw(run, tmp_path / "b.svg", "--kind", "frames", "--clip", "clip-02") == plain


def _strip_png(tmp_path: Path, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """A strip of a blue frame and noise, as (figure, crop's pixels)."""
    whole = np.full((90, 160, 3), (0, 0, 160), np.uint8)
    noise = np.random.default_rng(0).integers(0, 200, (90, 160, 3), dtype=np.uint8)
    shots = [Shot(name, noise, ("31.20", "0.9000")) for name in ("one", "two", "three")]
    file = tmp_path / "strip.png"
    file.write_bytes(render(lambda: strip(shots, whole, crop, "clip", 3.25), ".png").data)
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB")).astype(int), crop.cut(noise).astype(int)


def test_the_marked_window_lies_where_the_crop_was_cut(tmp_path: Path) -> None:
    crop = Crop(96, 20, 40, 30)
    page, _ = _strip_png(tmp_path, crop)
    width = int((page[2] == (0, 0, 160)).all(axis=1).sum())
    rows, columns = np.nonzero((abs(page - (255, 213, 0)) < 40).all(axis=2))
    inside = columns < width
    scale, thick = width / 160, 1.0 * 400 / 72
    found = np.array([columns[inside].min(), columns[inside].max(), rows[inside].min(), rows[inside].max()])
    wanted = np.array([96 * scale - thick, 136 * scale + thick, 20 * scale - thick, 50 * scale + thick])
    assert abs(found - wanted).max() <= 2.5, (found, wanted)


def test_crops_are_magnified_pixel_by_pixel(tmp_path: Path) -> None:
    page, crop = _strip_png(tmp_path, Crop(96, 20, 40, 30))
    start = int((page[2] == (0, 0, 160)).all(axis=1).sum())
    filled = np.flatnonzero((page[1, start:] < 255).all(axis=1)) + start
    left = int(filled[0])
    run_length = int(np.argmax(np.append((page[1, left:] == 255).all(axis=1), True)))
    factor = run_length // 40
    assert factor >= 2 and run_length == 40 * factor
    shown = page[: 30 * factor, left : left + run_length]
    assert np.array_equal(shown, crop.repeat(factor, axis=0).repeat(factor, axis=1))


def test_a_narrow_strip_leaves_no_white_corner() -> None:
    for count, columns in ((3, 3), (4, 2), (6, 2)):
        layout = arrange(count, (1280, 720), (320, 180), 3.25, {2: 60.0, 3: 40.0})
        assert layout.frame.width == layout.width and all(c.y > layout.frame.height for c in layout.crops)
        assert len({c.y for c in layout.crops}) == count // columns
    wide = arrange(4, (1280, 720), (320, 180), 6.875, {2: 60.0, 3: 40.0})
    assert all(c.x > wide.frame.width for c in wide.crops) and wide.uneven < 0.25


def test_the_default_crop_is_where_the_frames_differ_and_is_told(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = np.zeros((40, 80, 3), np.uint8)
    two = one.copy()
    two[12:18, 50:60] = 200
    crop = default_crop(one, two)
    assert (crop.width, crop.height) == (20, 10)
    assert crop.x <= 50 and crop.x + 20 >= 60 and crop.y <= 12 and crop.y + 10 >= 18
    first = draw(run, tmp_path / "a.png", *STRIP)
    said = capsys.readouterr().err
    told = said.partition("--crop ")[2].split()[0]
    assert draw(run, tmp_path / "b.png", *STRIP, "--crop", told) == first


def test_values_under_the_crops_are_that_frames_and_the_best_is_marked(run: Run) -> None:
    shots = {shot.label: shot for shot in moment(select(run, None, None), "clip-01", "8", Crop(0, 0, 30, 20)).shots}
    assert list(shots) == ["blurry input", "srn:rgb", "ifirnn:C2H3", "ground truth"]
    scores = run.scores.set_index(["method", "clip", "frame", "metric"])["value"]
    values = {name: scores[name, "clip-01", "000008", "psnr"] for name in ("ifirnn:C2H3", "srn:rgb")}
    for name, value in values.items():
        assert shots[name].values[0] == f"{value:.2f}"
        assert shots[name].best[0] == (value == max(values.values()))
    assert not any(shots["blurry input"].best) and shots["ground truth"].values == ("PSNR (dB)", "SSIM")


@pytest.mark.parametrize("count", [1, 3, 6, 22])
@pytest.mark.parametrize("width", [3.25, 6.875])
def test_layouts_fill_the_width_and_nothing_overlaps(count: int, width: float) -> None:
    for crop in ((320, 180), (64, 48), (20, 100)):
        layout = arrange(count, (1280, 720), crop, width, {2: 80.0, 3: 50.0})
        assert layout.width == round(width * layout.dpi) and layout.factor >= 1
        if count < 22:
            assert max(layout.crops[0][2:]) >= 0.65 * layout.cell
        places = [layout.frame, *layout.crops]
        for one, two in itertools.combinations(places, 2):
            assert one.x + one.width <= two.x or two.x + two.width <= one.x or one.y + one.height <= two.y
        assert max(p.x + p.width for p in places) <= layout.width
        assert max(p.y + p.height for p in places) <= layout.height


def test_names_of_points_do_not_overlap() -> None:
    dice = np.random.default_rng(1)
    points = [Point(f"method-{n}:variant", 0.05 * 1.2**n, 28 + dice.normal(0, 0.3), Interval(27, 30)) for n in range(9)]
    styles = looks([point.label for point in points], "")
    with matplotlib.style.context(["default", {"font.size": 8}]):
        drawn = runtime(points, 26.0, "PSNR (dB) ↑", styles, (6.875, 3.0))
        axes = drawn.axes[0]
        boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
        assert len(boxes) == 10 and len({(look.colour, look.marker) for look in styles.values()}) == 9
        assert not any(one.overlaps(two) for one, two in itertools.combinations(boxes, 2))
        line = axes.transData.transform((1.0, 26.0))[1]
        assert not any(box.y0 < line < box.y1 for box in boxes)  # the input's line strikes no name through
        border = axes.get_window_extent()
        assert all(border.x0 <= b.x0 and b.x1 <= border.x1 and border.y0 <= b.y0 and b.y1 <= border.y1 for b in boxes)


def refused(run: Run, tmp_path: Path, *words: str) -> str:
    with pytest.raises(UsageError) as error:
        draw(run, tmp_path / "none.png", *words)
    assert not (tmp_path / "none.png").exists()
    return str(error.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--clip", "clip-1"], "Did you mean 'clip-01'?"),
        (["--frame", "000008"], "--clip is missing"),
        (["--clip", "clip-01", "--frame", "000099"], "12 frames, 000001 to 000012"),
        (["--clip", "clip-01", "--frame", "000007"], "Kept of clip-01: 000006, 000008, 000010. To keep every frame"),
        ([*STRIP, "--crop", "100,70,30,20"], "beyond the frame of 120x80"),
        ([*STRIP, "--crop", "-1,0,30,20"], "beyond the frame"),
        ([*STRIP, "--crop", "1,2,3"], "four whole numbers X,Y,W,H"),
        ([*STRIP, "--crop", "1,2,0,4"], "at least 1"),
        ([*STRIP, "--methods", "srm"], "Did you mean"),
        ([*STRIP, "--metric", "pnsr"], "Did you mean 'psnr'?"),
        (["--kind", "clips", "--crop", "0,0,9,9"], "--kind clips has no use for it"),
        (["--kind", "runtime", "--clip", "clip-01"], "strip and frames"),
    ],
)
def test_what_cannot_be_drawn_is_told(run: Run, tmp_path: Path, words: Sequence[str], said: str) -> None:
    assert said in refused(run, tmp_path, *words)


def test_an_unknown_format_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'\.jpg'; a figure is one of \.pdf, \.svg, \.png"):
        draw(run, tmp_path / "none.jpg")


def test_a_failed_method_is_left_out_unless_it_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Fake(pictures=True, size=(120, 80), clips=CLIPS, failed={"srn:rgb": "clip-01"})
    run = fake_run.write(tmp_path / "run", fake)
    for words in (STRIP, ["--kind", "clips"], ["--kind", "frames", "--clip", "clip-01"], ["--kind", "runtime"]):
        draw(run, tmp_path / "some.png", *words)
        assert "left out: srn:rgb" in capsys.readouterr().err
        assert "boom" in refused(run, tmp_path, *words, "--methods", "srn,ifirnn")


def test_runs_without_frames_or_ground_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = fake_run.write(tmp_path / "bare", Fake(clips=CLIPS))
    assert "No frame of clip-01 was kept" in refused(bare, tmp_path, "--clip", "clip-01")
    blind = fake_run.write(tmp_path / "blind", Fake(pictures=True, size=(120, 80), clips=CLIPS, ground_truth=False))
    draw(blind, tmp_path / "blind.png", "--clip", "clip-01")
    assert "no ground truth" in capsys.readouterr().err
    assert "no method has a finished score" in refused(blind, tmp_path, "--kind", "clips")


def test_hostile_names_and_signs_that_the_font_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = ("$\\frac{$ & <b>", "街", "c" * 90)
    run = fake_run.write(tmp_path / "run", Fake(pictures=True, size=(120, 80), clips=clips))
    for words in (["--kind", "clips"], ["--kind", "frames"], ["--clip", clips[0]]):
        draw(run, tmp_path / "some.svg", *words)
    assert "the font has no sign for" in capsys.readouterr().err
    assert (run.store.frames_folder(GROUND_TRUTH, clips[0])).is_dir()


def test_long_names_are_shortened_in_the_middle() -> None:
    short = shorten("a-very-long-name-of-a-method", 8, 60)
    assert short.startswith("a-ve") and short.endswith("thod") and "…" in short and text_width(short, 8) <= 60
    assert parse_crop("1, 2,3,4") == Crop(1, 2, 3, 4)
