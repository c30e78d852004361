"""`--dataset folder:images`: photographs of any sizes in the layouts that people have."""

import csv

import pytest

from tests.e2e.inprocess import deblurbench
from tests.fakes import write_frames
from tests.videos import smooth

SIZES = {"1": (64, 48), "2": (48, 64), "3": (80, 48)}


def write(place, size, name):
    write_frames(place, smooth(1, size), 0)
    (place / "000000.png").rename(place / f"{name}.png")


def realblur(root):
    for name, size in SIZES.items():
        write(root / "scene001" / "blur", size, f"blur_{name}")
        write(root / "scene001" / "gt", size, f"gt_{name}")
    return [f"scene001-{name}" for name in SIZES]


def hide(root):
    for name, size in SIZES.items():
        write(root / "test" / ("test-long-shot" if name == "1" else "test-close-ups"), size, f"{name}fromGOPR")
        write(root / "GT", size, f"{name}fromGOPR")
    return [f"{name}fromGOPR" for name in SIZES]


def by_side(root):
    for name, size in SIZES.items():
        write(root / "input", size, name)
        write(root / "target", size, name)
    return list(SIZES)


@pytest.mark.parametrize("layout", [realblur, hide, by_side])
def test_every_image_is_a_clip(tmp_path, layout):
    names = layout(tmp_path / "data")
    deblurbench(
        "run", "--methods", "identity", "--dataset", "folder:images", "--data-root", tmp_path / "data", "--in-process",
        "--metrics", "psnr,ssim,tof", "--gallery", "none", "--output", tmp_path / "out",
    )  # fmt: skip
    with (tmp_path / "out" / "scores.csv").open() as file:
        rows = [(row["clip"], row["metric"]) for row in csv.DictReader(file)]
    assert sorted(rows) == sorted((name, metric) for name in names for metric in ("psnr", "ssim"))


def test_photographs_alone_and_faults_by_name(tmp_path, capsys):
    for name, size in SIZES.items():
        write(tmp_path / "alone" / f"day {name}", size, "photo")
    deblurbench("data", "info", "folder:images", "--data-root", tmp_path / "alone")
    assert "day 1-photo  1 frames  photo .. photo  no ground truth" in capsys.readouterr().out
    by_side(tmp_path / "two")
    (tmp_path / "two" / "target" / "3.png").unlink()
    write(tmp_path / "two" / "input", SIZES["2"], "2 copy")
    (tmp_path / "two" / "input" / "2 copy.png").rename(tmp_path / "two" / "input" / "2.jpg")
    deblurbench("data", "info", "folder:images", "--data-root", tmp_path / "two")
    text = capsys.readouterr().out
    assert "cannot run: no sharp image of this name" in text and "2 blurry images of one name" in text


def test_the_plain_dataset_says_how(tmp_path, capsys):
    by_side(tmp_path)
    deblurbench("data", "verify", "folder", "--data-root", tmp_path, code=4)
    text = capsys.readouterr().out
    assert "--dataset folder:images" in text and "a folder of its own" in text
