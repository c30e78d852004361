"""`data verify --record`: digests beside the data, to which later runs hold it."""

import os
import shutil
import subprocess

import pytest

from deblurbench.datasets import sums
from tests.e2e.inprocess import deblurbench
from tests.fakes import write_folder
from tests.videos import smooth, write


def verify(root, *words, code=0):
    deblurbench("data", "verify", "folder", "--data-root", root, *words, code=code)


def run(root, output, code=0):
    deblurbench(
        "run", "--methods", "identity", "--dataset", "folder", "--data-root", root, "--in-process", "--metrics", "psnr",
        "--gallery", "none", "--output", output, code=code,
    )  # fmt: skip


def flip(path, keep_time=False):
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))
    if keep_time:
        os.utime(path, ns=times)


@pytest.fixture
def data(tmp_path):
    """Two pairs of clips of JPEG frames."""
    root = write_folder(tmp_path / "data", clips=["a", "b"], frames=3)
    import cv2

    for file in sorted(root.rglob("*.png")):
        cv2.imwrite(str(file.with_suffix(".jpg")), cv2.imread(str(file)))
        file.unlink()
    return root


def test_a_flipped_bit_is_named_and_its_clip_not_scored(data, tmp_path, capsys):
    run(data, tmp_path / "before")
    assert "12 frame files in formats without checksums (.jpg)" in " ".join(capsys.readouterr().out.split())
    verify(data, "--record")
    assert f"recorded the digests of 12 files in {data / 'SHA256SUMS'}" in capsys.readouterr().err
    if shutil.which("sha256sum"):
        assert (
            subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=data, capture_output=True).returncode == 0
        )
    verify(data)
    run(data, tmp_path / "held")
    assert "without checksums" not in capsys.readouterr().out
    hurt = data / "blur" / "a" / "000001.jpg"
    flip(hurt)
    verify(data, code=4)
    assert f"{hurt}: other bytes than" in capsys.readouterr().out
    run(data, tmp_path / "out", code=1)
    assert f"{hurt}: other bytes than" in capsys.readouterr().err
    scored = (tmp_path / "out" / "scores.csv").read_text()
    assert ",a," not in scored and ",b," in scored
    verify(data, "--record", code=4)
    assert "nothing recorded" in capsys.readouterr().err


def test_same_size_and_time_are_trusted_unless_deep(data, capsys, monkeypatch):
    verify(data, "--record")
    digests = []
    monkeypatch.setattr(sums, "file_sha256", lambda path: digests.append(path) or "")
    verify(data)
    assert digests == []
    monkeypatch.undo()
    flip(data / "sharp" / "b" / "000002.jpg", keep_time=True)
    verify(data)
    verify(data, "--deep", code=4)
    assert "000002.jpg: other bytes" in capsys.readouterr().out


def test_a_copy_with_other_times_is_as_good(data, tmp_path):
    verify(data, "--record")
    shutil.copytree(data, tmp_path / "copy", copy_function=shutil.copyfile)
    verify(tmp_path / "copy")
    run(tmp_path / "copy", tmp_path / "out")


def test_what_sha256sum_wrote_is_read_and_names_keep_their_signs(tmp_path, capsys):
    root = tmp_path / "data"
    root.mkdir()
    video = write(root / "a \\ b.mkv", smooth(2), "ffv1", "bgr0")
    verify(root, "--record")
    verify(root, "--deep")
    digest = sums.file_sha256(video)
    (root / "SHA256SUMS").write_text(f"\\{digest} *./a \\\\ b.mkv\n")
    verify(root)
    flip(video)
    capsys.readouterr()
    verify(root, code=4)
    assert "b.mkv: other bytes" in capsys.readouterr().out
    (root / "SHA256SUMS").write_text("12  a.mkv\n")
    verify(root, code=2)
    assert "SHA256SUMS: line 1 is none of sha256sum's" in capsys.readouterr().err
