"""`deblurbench report` as people call it: options, odd runs, one file, serving, and what it says."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from deblurbench.results.run import Run
from tests import fake_run
from tests.e2e.inprocess import deblurbench
from tests.fake_run import Fake

TINY = {"size": (96, 64), "pictures": True, "every": True, "clips": ("clip-01", "clip-02"), "frames": 12}
ODD = ("a/b c", "\N{LATIN SMALL LETTER U WITH DIAERESIS} \N{CJK UNIFIED IDEOGRAPH-6F22}", "..", 'q"uo<te>&')


@pytest.fixture(autouse=True)
def _signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deblurbench.cli.main.signal.signal", lambda *_: None)


def report(run: Run, *words: object, code: int = 0) -> str:
    """The page that the command writes."""
    deblurbench("report", run.folder, *words, code=code)
    return (run.folder / "report" / "index.html").read_text(encoding="utf-8") if code == 0 else ""


def test_gallery_none_sample_and_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fake_run.write(tmp_path / "run", Fake(**TINY))
    text = report(run)
    assert "Not hand-picked: of every clip the worst, median and best" in text and text.count("<video") == 8
    assert "  pictures: " in capsys.readouterr().err
    shown = len(list((run.folder / "report/images").rglob("*.webp")))
    text = report(run, "--gallery", "all")
    assert "every frame that was kept" in text
    assert len(list((run.folder / "report/images").rglob("*.webp"))) == 2 * 12 * 4 * 2 > shown
    text = report(run, "--gallery", "none")
    assert "asked for without them" in text and "<video" not in text and 'class="curves scripted"' in text
    assert not list((run.folder / "report").rglob("*.web*"))  # those of the reports before are gone


def test_a_budget_bounds_pictures_and_videos_and_is_told(tmp_path: Path) -> None:
    methods = {"identity": 1.0, **{f"m{n:02d}": 0.3 + n / 50 for n in range(20)}}
    run = fake_run.write(tmp_path / "run", Fake(**{**TINY, "size": (192, 128), "clips": ("one",)}, methods=methods))
    text = report(run, "--budget", 1)
    media = sum(f.stat().st_size for f in (run.folder / "report").rglob("*.web*"))
    assert 300_000 < media <= 1_000_000
    assert "To keep pictures and videos under 1 MB they show" in text and "of 20 methods" in text


def test_frames_that_were_deleted_are_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(**TINY))
    shutil.rmtree(run.folder / "frames" / "srn-rgb" / "clip-01")
    text = report(run)
    assert text.count('data-label="srn:rgb"') > 0 and 'data-clip="clip-01"' in text
    shutil.rmtree(run.folder / "frames")
    assert "holds none of them any more" in report(run)


def test_a_failed_method_shows_nothing_where_it_failed(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(**TINY, failed={"srn:rgb": "clip-01"}))
    left = run.store.frames_folder("srn:rgb", "clip-01")  # what it wrote before it failed
    shutil.copytree(run.store.frames_folder("identity", "clip-01"), left)
    (left / "000007.png").unlink()
    text = report(run)
    player = text.partition('<article class="player"')[2].partition("</article>")[0]
    assert "12 of 12 frames" in player and player.count("<video") == 3 and "srn:rgb" not in player


def test_one_clip_and_no_ground_truth(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(**{**TINY, "clips": ("only",)}, ground_truth=False))
    text = report(run)
    assert "a fixed stride (the frames at 1/6, 1/2 and 5/6 of its length)" in text and "worst" not in text
    assert text.count("<video") == 3 and 'id="player-clip"' not in text and "Ground truth" not in text


def test_odd_names_make_safe_files(tmp_path: Path) -> None:
    methods = {"identity": 1.0, "my method:a/b": 0.5}
    run = fake_run.write(tmp_path / "run", Fake(**{**TINY, "clips": ODD}, methods=methods))
    text = report(run)
    files = [f.relative_to(run.folder / "report") for f in (run.folder / "report").rglob("*.web[pm]")]
    assert len(files) == len(set(files)) and all(re.fullmatch(r"[A-Za-z0-9./-]+", str(f)) for f in files)
    named = set(re.findall(r'<(?:img|video) src="([^"]+)"', text))
    assert named == {f.as_posix() for f in files}
    assert "q&#34;uo&lt;te&gt;&amp;" in text and "<te>" not in text


def test_an_unwritable_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fake_run.write(tmp_path / "run", Fake(clips=("one",)))
    (tmp_path / "file").write_text("in the way")
    report(run, "--output", tmp_path / "file" / "report", code=1)
    assert "cannot be written" in capsys.readouterr().err


def test_one_file_says_its_size_and_warns_when_it_is_large(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fake_run.write(tmp_path / "run", Fake(**TINY))
    report(run, "--single-file")
    said = capsys.readouterr().err
    assert "with previews; --exact would make it about" in said and "mail servers" not in said
    text = (run.folder / "report/report.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|srcset|poster)="(?!data:)', text) and 'rel="stylesheet"' not in text
    first = (run.folder / "report/report.html").read_bytes()
    monkeypatch.setattr("deblurbench.cli.reporting.MAILED", 1000)
    report(run, "--single-file")
    assert "many mail servers refuse more" in capsys.readouterr().err
    assert (run.folder / "report/report.html").read_bytes() == first
    report(run, "--single-file", "--exact")
    assert "pictures and films without loss" in capsys.readouterr().err
    assert len((run.folder / "report/report.html").read_bytes()) > len(first)
    report(run, "--exact", code=2)
    report(run, "--single-file", "--kind", "tables", code=2)
    assert "have no page" in capsys.readouterr().err


def test_serves_until_it_is_interrupted_without_torch(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(clips=("one",)))
    code = "import sys\nfrom deblurbench.cli.main import main\ntry:\n    main(sys.argv[1:])\n" \
           "finally:\n    assert 'torch' not in sys.modules"  # fmt: skip
    words = [sys.executable, "-c", code, "report", str(run.folder), "--serve"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    place = None
    for line in process.stderr:
        place = re.search(r"http://127\.0\.0\.1:\d+/index\.html", line)
        if place:
            break
    assert place
    with urllib.request.urlopen(place[0], timeout=20) as answer:
        assert b"deblurbench report" in answer.read()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0 and "ended" in said and "Traceback" not in said
