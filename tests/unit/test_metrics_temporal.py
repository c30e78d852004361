"""Metrics over a clip, and the one without ground truth, against direct transcriptions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from deblurbench.metrics import METRICS
from tests.golden.twins_more import CLIP_TWINS

CLIP_LEVEL = [m.id for m in METRICS.values() if m.level == "clip" and m.id != "vmaf"]  # see test_metrics_vmaf


def clip(frames: int = 4, step: float = 2.0) -> list[np.ndarray]:
    """A texture that moves to the right by `step` pixels a frame, uint8 (48, 64, 3)."""
    noise = np.random.default_rng(8).normal(0, 1, (64, 128, 3))
    smooth = ndimage.gaussian_filter(noise, (2, 2, 0))
    texture = 128 + 40 * smooth / smooth.std()
    moving = (ndimage.shift(texture, (0, step * t, 0), order=3, mode="wrap") for t in range(frames))
    return [np.clip(np.round(frame[8:56, 32:96]), 0, 255).astype(np.uint8) for frame in moving]


def score(id: str, restored: list[np.ndarray], sharp: list[np.ndarray]) -> float:
    metric = METRICS[id].load()()
    for pair in zip(restored, sharp, strict=True):
        metric.add(*pair)
    return metric.result()


def flicker(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [
        np.clip(frame.astype(int) + (12 if t % 2 else -12), 0, 255).astype(np.uint8) for t, frame in enumerate(frames)
    ]


def test_identical_clips():
    sharp = clip()
    assert score("tpsnr", sharp, sharp) == METRICS["tpsnr"].best
    assert score("tof", sharp, sharp) == METRICS["tof"].best
    assert 0 < score("warp-error", sharp, sharp) < 1e-3


def test_flicker_is_seen_and_a_constant_error_is_not():
    sharp = clip()
    brighter = [np.clip(frame.astype(int) + 10, 0, 255).astype(np.uint8) for frame in sharp]
    assert score("tpsnr", flicker(sharp), sharp) == pytest.approx(20 * np.log10(255 / 24), abs=0.05)
    assert score("tpsnr", brighter, sharp) > 50
    assert score("warp-error", flicker(sharp), sharp) > 5 * score("warp-error", brighter, sharp)


def test_flow_difference_is_in_pixels():
    sharp, still = clip(step=2.0), clip(step=0.0)
    assert score("tof", still, sharp) == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("id", CLIP_TWINS)
def test_a_moving_texture_that_flickers_scores_as_the_twin_says(id):
    twin, _, _ = CLIP_TWINS[id]
    sharp, restored = clip(), flicker([cv2.blur(frame, (7, 1)) for frame in clip(step=1.3)])
    # OpenCV warps in steps of 1/32 pixel, the twin of warp-error exactly.
    assert score(id, restored, sharp) == pytest.approx(twin(restored, sharp), rel=5e-3 if id == "warp-error" else 1e-6)


@pytest.mark.parametrize("id", CLIP_LEVEL)
def test_one_frame_has_no_motion_and_clips_do_not_share_state(id):
    factory, sharp = METRICS[id].load(), clip()
    one, other = factory(), factory()
    one.add(sharp[0], sharp[0])
    assert np.isnan(one.result())
    other.add(sharp[1], sharp[0])
    other.add(sharp[2], sharp[1])
    assert np.isnan(one.result()) and not np.isnan(other.result())


@pytest.mark.parametrize("id", CLIP_LEVEL)
def test_frames_may_be_reused_by_the_caller(id):
    """A decoder that writes each frame into the same buffer must not change the result."""
    sharp, restored = clip(), flicker(clip())
    buffers = np.empty_like(sharp[0]), np.empty_like(sharp[0])
    metric = METRICS[id].load()()
    for pair in zip(restored, sharp, strict=True):
        for buffer, frame in zip(buffers, pair, strict=True):
            buffer[:] = frame
        metric.add(*buffers)
    assert metric.result() == score(id, restored, sharp)


@pytest.mark.parametrize("id", CLIP_LEVEL)
def test_bad_frames_are_refused(id):
    metric, frame = METRICS[id].load()(), clip(1)[0]
    with pytest.raises(ValueError, match="float64"):
        metric.add(frame / 255, frame)
    metric.add(frame, frame)
    with pytest.raises(ValueError, match="of a clip differ in size"):
        metric.add(frame[1:], frame[1:])


@pytest.mark.parametrize("id", CLIP_LEVEL)
@pytest.mark.parametrize("size", [(1, 1), (31, 64), (64, 31)])
def test_frames_that_are_too_small_are_refused(id, size):
    frame = np.zeros((*size, 3), np.uint8)
    with pytest.raises(ValueError, match="at least 32x32"):
        METRICS[id].load()().add(frame, frame)


def test_sharpness_is_the_variance_of_scipys_laplacian_and_falls_with_blur():
    frame = clip(1)[0]
    luma = frame @ np.array([0.299, 0.587, 0.114])
    measure = METRICS["sharpness"].load()
    assert measure(frame) == pytest.approx(ndimage.laplace(luma)[1:-1, 1:-1].var(), rel=1e-9)
    assert measure(frame, None) == measure(frame, clip(2)[1])
    assert measure(cv2.blur(frame, (9, 9))) < 0.5 * measure(frame)
    assert not METRICS["sharpness"].needs_reference
    with pytest.raises(ValueError, match="at least 3x3"):
        measure(frame[:2])
