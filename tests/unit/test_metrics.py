"""The table of metrics, what every metric promises, and what it refuses."""

from __future__ import annotations

import contextlib
import importlib
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblurbench import jit as jit_module
from deblurbench.errors import UsageError
from deblurbench.metrics import METRICS, metric

ALIGNED = ["psnr-koehler", "ssim-koehler", "psnr-ecc", "ssim-ecc"]
LEARNED = ("lpips", "dists")  # need trunks that are not shipped; their golden tests make random ones
FRAME_LEVEL = [
    m.id
    for m in METRICS.values()
    if m.level == "frame" and m.needs_reference and not m.id.startswith(LEARNED) and m.id not in ALIGNED
]
WINDOWED = {"ssim": 11, "ssim-uniform7": 7, "ssim-y": 11}


def noise(height: int = 40, width: int = 50, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_importing_and_describing_needs_no_heavy_library():
    heavy = "torch cv2 numba skimage scipy lpips torchvision pandas matplotlib"
    code = (
        "import sys, deblurbench.metrics as m; [repr(x) for x in m.METRICS.values()]; m.metric('ssim');"
        f"print([n for n in {heavy.split()!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_required_metrics_and_the_defaults():
    required = "psnr ssim ssim-matlab3d psnr-y ssim-y lpips-alex lpips-vgg lpips-squeeze".split()
    assert set(required) <= set(METRICS)
    assert [m.id for m in METRICS.values() if m.default] == ["psnr", "ssim", "lpips-alex"]


@pytest.mark.parametrize("entry", METRICS.values(), ids=lambda m: m.id)
def test_every_metric_is_described(entry):
    assert entry.id == entry.id.lower()
    assert METRICS[entry.id] is entry
    assert entry.title and entry.citation and entry.twin and entry.entry
    assert entry.version >= 1
    assert 0 <= entry.decimals <= 6
    assert not math.isnan(entry.best) or entry.id in ("sharpness", "warp-error", "vmaf")


@pytest.mark.parametrize("entry", METRICS.values(), ids=lambda m: m.id)
def test_a_metric_that_can_lack_files_says_so(entry):
    module = importlib.import_module(f"deblurbench.metrics.{entry.entry.partition(':')[0]}")
    assert hasattr(module, "is_here") == entry.needs_files
    assert entry.needs_files or not entry.uses_network
    assert entry.needs_files or entry.is_here()


def test_an_unknown_metric_gets_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'ssim-matlab3d'"):
        metric("ssim-matlab")
    with pytest.raises(UsageError, match="Did you mean 'psnr'"):
        metric("PSNR")


@pytest.mark.parametrize("id", FRAME_LEVEL)
@pytest.mark.parametrize("frame", [noise(), np.zeros((20, 31, 3), np.uint8), np.full((20, 31, 3), 255, np.uint8)])
def test_identical_frames_give_exactly_the_best_value(id, frame):
    assert METRICS[id].load()(frame, frame.copy()) == METRICS[id].best


@pytest.mark.parametrize("id", FRAME_LEVEL)
def test_a_better_restoration_scores_better(id):
    sharp = noise()
    near, far = (np.clip(sharp.astype(int) + step, 0, 255).astype(np.uint8) for step in (4, 40))
    score = METRICS[id].load()
    assert (score(near, sharp) > score(far, sharp)) == METRICS[id].higher_is_better


BAD = {
    "float": (lambda f: f.astype(np.float32) / 255, "float32"),
    "16 bit": (lambda f: f.astype(np.uint16), "uint16"),
    "nan": (lambda f: np.full(f.shape, np.nan), "float64"),
    "grey": (lambda f: f[..., 0], r"\(40, 50\)"),
    "alpha": (lambda f: np.concatenate([f, f[..., :1]], 2), r"\(40, 50, 4\)"),
    "planes first": (lambda f: f.transpose(2, 0, 1), r"\(3, 40, 50\)"),
    "empty": (lambda f: f[:0], r"\(0, 50, 3\)"),
    "other size": (lambda f: f[:, 1:], "restored is 49x40, sharp is 50x40"),
    "list": (lambda f: f.tolist(), "list"),
}


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.parametrize("id", FRAME_LEVEL)
def test_bad_frames_are_refused_with_what_was_found(id, fault):
    spoil, message = BAD[fault]
    with pytest.raises(ValueError, match=message):
        METRICS[id].load()(spoil(noise()), noise())


@pytest.mark.parametrize("id", FRAME_LEVEL)
@pytest.mark.parametrize("size", [(1, 1), (6, 50), (50, 10)])
def test_frames_smaller_than_the_window_are_refused(id, size):
    frame, window = noise(*size), WINDOWED.get(id, 1)
    score = METRICS[id].load()
    if min(size) < window:
        with pytest.raises(ValueError, match=f"at least {window}x{window}"):
            score(frame, frame)
    else:
        assert score(frame, frame) == METRICS[id].best


@pytest.mark.parametrize("id", FRAME_LEVEL)
def test_views_and_threads_give_the_same_numbers(id):
    big = [noise(90, 120, seed) for seed in range(6)]
    views = [f[5:-5:2, ::-1][:, :40] for f in big]
    score = METRICS[id].load()
    alone = [score(np.ascontiguousarray(v), np.ascontiguousarray(views[0])) for v in views]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda v: score(v, views[0]), views * 5))
    assert together == alone * 5


@pytest.mark.parametrize("id", FRAME_LEVEL)
def test_frames_are_left_as_they_were(id):
    one, two = noise(seed=1), noise(seed=2)
    METRICS[id].load()(one, two)
    assert (one == noise(seed=1)).all() and (two == noise(seed=2)).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(11, 30), st.integers(11, 30), st.integers(0, 10**6), st.sampled_from(FRAME_LEVEL))
def test_metrics_are_symmetric_and_never_better_than_best(height, width, seed, id):
    one, two = noise(height, width, seed), noise(height, width, seed + 1)
    score = METRICS[id].load()
    value = score(one, two)
    assert value == pytest.approx(score(two, one), abs=1e-6)
    assert value < METRICS[id].best if METRICS[id].higher_is_better else value > METRICS[id].best


def test_loops_compile_where_no_cache_folder_can_be_written(monkeypatch):
    import numba

    asked = []
    real = numba.njit

    def njit(loop, **options):
        asked.append(options.get("cache", False))
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(loop, **options)

    monkeypatch.setattr(numba, "njit", njit)
    assert jit_module.compiled(lambda x: x + 1.0, 1.0)(2.0) == 3.0
    assert asked == [True, False]


def test_the_smallest_size_is_that_of_the_windows():
    from deblurbench.metrics.lpips_trunks import TRUNKS

    rng = np.random.default_rng(0)
    for entry in METRICS.values():
        if entry.uses_network:
            assert entry.min_size == TRUNKS[entry.id.removeprefix("lpips-").replace("dists", "vgg")].smallest
            continue
        if not entry.is_here():
            continue
        for side, fits in ((entry.min_size, True), (entry.min_size - 1, False)):
            if not side:
                continue
            one, two = rng.integers(0, 256, (2, side, side, 3), np.uint8)
            assert entry.fits((side, 99)) is fits
            with contextlib.nullcontext() if fits else pytest.raises(ValueError, match=f"at least {entry.min_size}x"):
                _computed(entry, one, two)


def _computed(entry, one, two):
    if entry.level == "frame":
        return entry.load()(one, two if entry.needs_reference else None)
    metric = entry.load()()
    for _ in range(3):
        metric.add(one, two)
    return metric.result()
