"""VMAF through ffmpeg: a twin in torch, what identical clips score, and every way in which there is no ffmpeg."""

from __future__ import annotations

import gc
import json
import os
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deblurbench.errors import MissingError
from deblurbench.metrics import METRICS, load_metrics
from deblurbench.metrics import vmaf as vmaf_module
from deblurbench.metrics.luma import luma
from tests.golden.image_pairs import image_pairs


@pytest.fixture(scope="module")
def factory():
    try:
        return METRICS["vmaf"].load()
    except MissingError as error:
        pytest.skip(str(error))


def clip_of(pair: str, frames: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    """A pair of images that moves by a pixel a frame, and changes a little."""
    restored, sharp = image_pairs(32)[pair]
    return [(np.roll(restored, t, 1).copy(), np.roll(sharp, t, 1).copy()) for t in range(frames)]


def libvmaf(ffmpeg: str, inputs: list[str], folder: Path) -> float:
    """The filter's own answer for two inputs, restored first."""
    words = [ffmpeg, "-v", "error", *inputs, "-lavfi", "libvmaf=log_fmt=json:log_path=log.json", "-f", "null", "-"]
    subprocess.run(words, cwd=folder, check=True, stdin=subprocess.DEVNULL)
    return json.loads((folder / "log.json").read_text())["pooled_metrics"]["vmaf"]["mean"]


def score(factory, pairs) -> float:
    metric = factory()
    for pair in pairs:
        metric.add(*pair)
    return metric.result()


def planes(pairs, position: int) -> np.ndarray:
    """Luma of the restored (0) or sharp (1) frames by the formula in float64, rounded: uint8 (T, H, W)."""
    return np.stack([np.rint(luma(pair[position])) for pair in pairs]).astype(np.uint8)


@pytest.mark.parametrize("pair", image_pairs(32))
def test_equals_libvmaf_on_two_files_of_raw_luma(factory, pair, tmp_path):
    pairs = clip_of(pair)
    height, width = pairs[0][0].shape[:2]
    inputs = []
    for name, position in (("restored", 0), ("sharp", 1)):
        frames = [(y, np.full((2, height, width), 128, np.uint8)) for y in planes(pairs, position)]
        (tmp_path / name).write_bytes(b"".join(part.tobytes() for frame in frames for part in frame))
        inputs += ["-f", "rawvideo", "-pix_fmt", "yuv444p", "-s", f"{width}x{height}", "-i", name]
    assert score(factory, pairs) == pytest.approx(libvmaf(factory.ffmpeg, inputs, tmp_path), abs=1e-6)


@pytest.mark.real_data
def test_equals_a_float_implementation_of_the_model_on_real_frames(factory, real_data):
    vmaf_torch = pytest.importorskip("vmaf_torch", reason="the twin is not installed: pip install vmaf-torch")
    import torch

    from deblurbench.frames.images import read_frame

    clip = real_data / "GOPRO_Large" / "train" / "GOPR0372_07_00"
    pairs = [tuple(read_frame(clip / k / f"{n:06d}.png") for k in ("blur", "sharp")) for n in (51, 52, 53)]
    one, two = (torch.from_numpy(planes(pairs, position))[:, None].float() for position in (0, 1))
    with torch.no_grad():
        expected = vmaf_torch.VMAF()(two, one).clamp(0, 100).mean()
    assert score(factory, pairs) == pytest.approx(float(expected), abs=0.02)


def test_identical_clips_score_97_where_nothing_moves_and_at_most_100(factory):
    sharp = image_pairs(32)["noisy"][1]
    assert score(factory, [(sharp, sharp)] * 3) == pytest.approx(97.43, abs=0.01)
    assert 97.43 < score(factory, [(f, f) for f, _ in clip_of("noisy")]) <= 100


def test_blur_lowers_it_and_one_frame_has_a_value(factory):
    blurred, sharp = image_pairs(32)["blurred"]
    assert score(factory, [(blurred, sharp)]) < score(factory, [(sharp, sharp)]) - 20
    assert np.isnan(factory().result())


def test_it_equals_ffmpeg_on_png_files(factory, tmp_path):
    """What anyone gets who gives two folders of PNG files to the filter, up to the rounding of luma."""
    import cv2

    pairs = clip_of("blurred", 4)
    for t, pair in enumerate(pairs):
        for name, frame in zip(("r", "s"), pair, strict=True):
            cv2.imwrite(str(tmp_path / f"{name}{t}.png"), frame[..., ::-1])
    told = libvmaf(factory.ffmpeg, ["-i", "r%d.png", "-i", "s%d.png"], tmp_path)
    assert score(factory, pairs) == pytest.approx(told, abs=0.2)


def test_the_run_says_which_ffmpeg_it_was(factory):
    assert "ffmpeg" in factory.implementation and "vmaf_v0.6.1" in factory.implementation


def test_neither_processes_nor_files_stay_behind_where_a_clip_fails(factory):
    sharp = image_pairs(32)["noisy"][1]
    metric = factory()
    metric.add(sharp, sharp)
    process, folder = metric.process, Path(metric.folder)
    with pytest.raises(ValueError, match="of a clip differ in size"):
        metric.add(sharp[1:], sharp[1:])
    assert folder.is_dir()
    del metric
    gc.collect()
    assert process.poll() is not None and not folder.exists()


def test_small_frames_are_refused(factory):
    frame = np.zeros((31, 40, 3), np.uint8)
    with pytest.raises(ValueError, match="at least 32x32"):
        factory().add(frame, frame)


def program(place: Path, text: str) -> Path:
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
    return place


FAKE = """case "$*" in
*-filters*) echo " .. libvmaf  VV->V  Calculate" ;;
*-version*) echo "ffmpeg version 1.2 by hand" ;;
*) echo "no memory left" >&2; exit 3 ;;
esac"""


def test_an_ffmpeg_that_stops_fails_the_clip_with_what_it_said(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURBENCH_FFMPEG", str(program(tmp_path / "ffmpeg", FAKE)))
    chosen = METRICS["vmaf"].load()
    assert chosen.implementation == "ffmpeg 1.2 (DEBLURBENCH_FFMPEG), libvmaf model vmaf_v0.6.1"
    with pytest.raises(RuntimeError, match=r"stopped after \d+ frames \(no memory left"):
        score(chosen, clip_of("noisy", 20))


@pytest.mark.parametrize("text", ['echo " .. scale V->V"', "exit 1", None])
def test_without_the_filter_the_metric_is_absent_with_what_to_do(tmp_path, monkeypatch, text):
    place = program(tmp_path / "ffmpeg", text) if text else tmp_path / "nothing"
    monkeypatch.setenv("DEBLURBENCH_FFMPEG", str(place))
    _, clip_level, absent = load_metrics(["vmaf", "tpsnr"], "cpu")
    assert set(clip_level) == {"tpsnr"}
    assert "DEBLURBENCH_FFMPEG has no libvmaf" in absent["vmaf"]
    assert "pip install 'deblurbench[vmaf]'" in absent["vmaf"]


def test_the_packages_program_goes_before_the_one_on_the_path(tmp_path, monkeypatch):
    monkeypatch.delenv("DEBLURBENCH_FFMPEG", raising=False)
    program(tmp_path / "ffmpeg", FAKE)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    origins = [origin for _, origin in vmaf_module._candidates()]
    assert origins[-1] == "ffmpeg on the PATH"
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    assert [origin for _, origin in vmaf_module._candidates()] == ["ffmpeg on the PATH"]
    assert METRICS["vmaf"].load().implementation.startswith("ffmpeg 1.2 (ffmpeg on the PATH)")
