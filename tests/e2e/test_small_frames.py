"""Frames that a metric's window does not fit: its cells stay empty, the others are there, and no method is blamed."""

import csv
import json

import pytest

from tests.e2e.inprocess import deblurbench
from tests.fakes import write_frames
from tests.videos import smooth

WHY = "it needs frames of at least 11x11 pixels, these have 8x8"


def pairs(root, **sizes):
    for clip, size in sizes.items():
        for side in ("blur", "sharp"):
            frames = [f // 2 + (side == "blur") for f in smooth(3, (64, 48))]
            write_frames(root / side / clip, [f[: size[1], : size[0]] for f in frames], 0)


def run(root, output, *words, code=0):
    deblurbench(
        "run", "--methods", "identity", "--dataset", "folder", "--data-root", root, "--in-process", "--metrics",
        "psnr,ssim,tof,sharpness", "--save-frames", "all", "--output", output, *words, code=code,
    )  # fmt: skip


def cells(output):
    with (output / "scores.csv").open() as file:
        return {(row["clip"], row["metric"]) for row in csv.DictReader(file)}


def test_a_metric_that_fits_no_clip_is_absent(tmp_path, capsys):
    pairs(tmp_path / "data", a=(8, 8))
    run(tmp_path / "data", tmp_path / "out", "--dry-run")
    assert f"! ssim is absent: {WHY}" in capsys.readouterr().err
    run(tmp_path / "data", tmp_path / "out")
    assert cells(tmp_path / "out") == {("a", "psnr"), ("a", "sharpness")}
    assert f"ssim is absent: {WHY}" in capsys.readouterr().out
    run(tmp_path / "data", tmp_path / "out", "--dry-run")
    assert "cached" in capsys.readouterr().out
    deblurbench("verify", tmp_path / "out", "--all")


@pytest.mark.parametrize("method", ["identity"])
def test_a_metric_that_fits_some_clips_is_left_out_on_the_others(tmp_path, capsys, method):
    pairs(tmp_path / "data", a=(8, 8), b=(64, 48))
    run(tmp_path / "data", tmp_path / "out")
    assert cells(tmp_path / "out") == {("a", "psnr"), ("a", "sharpness")} | {
        ("b", name) for name in ("psnr", "ssim", "tof", "sharpness")
    }
    assert f"ssim is left out on 1 clip (a): {WHY}" in " ".join(capsys.readouterr().out.split())
    run(tmp_path / "data", tmp_path / "out", "--dry-run", "--json")
    assert {row["state"] for row in json.loads(capsys.readouterr().out)["work"]} == {"cached"}
    deblurbench("verify", tmp_path / "out", "--all")
    deblurbench(
        "score", tmp_path / "out" / "frames" / method, "--name", "theirs", "--dataset", "folder", "--data-root",
        tmp_path / "data", "--metrics", "psnr,ssim,tof", "--output", tmp_path / "scored",
    )  # fmt: skip
    assert ("a", "ssim") not in cells(tmp_path / "scored") and ("b", "ssim") in cells(tmp_path / "scored")
