"""How fast the metrics are, beside other implementations, in one run: ratios with their spread.

    python -m benchmarks.metrics [--rounds 9] [--size 1280x720] [--only ssim] [--json FILE]

Rounds are interleaved: each implementation runs once in each round, so that a busy machine slows all of a round. A
ratio is formed within a round; its median and its smallest and largest value over the rounds are shown, for the
process's CPU time and for the wall clock: on a shared machine CPU time is the fairer one, though neighbours on a core
and in the caches slow it too. One thread each. pytorch-msssim and torchmetrics take part where they are installed
(torchmetrics with a stand-in for torchvision where that cannot be imported).
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblurbench.metrics import METRICS
from deblurbench.metrics.luma import luma
from tests.golden.torchvision_stand_in import import_with_stand_in

Implementation = Callable[[np.ndarray, np.ndarray], float]
WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
C1, C2 = 6.5025, 58.5225


def skimage_ssim(one: np.ndarray, two: np.ndarray) -> float:
    """scikit-image with Wang's window."""
    return structural_similarity(one, two, channel_axis=2, **WANG)


def opencv_ssim(one: np.ndarray, two: np.ndarray) -> float:
    """Separable float32 filters, five of them."""

    def smooth(frame: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(frame, (11, 11), 1.5)[5:-5, 5:-5]

    x, y = one.astype(np.float32) - 128, two.astype(np.float32) - 128
    mx, my = smooth(x), smooth(y)
    vx, vy, cov = smooth(x * x) - mx * mx, smooth(y * y) - my * my, smooth(x * y) - mx * my
    mx, my = mx + 128, my + 128
    return float(
        ((2 * mx * my + C1) * (2 * cov + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))).mean(dtype=np.float64)
    )


def _batch(frame: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frame).permute(2, 0, 1)[None].float()


def msssim_ssim(one: np.ndarray, two: np.ndarray) -> float:
    """pytorch-msssim, where installed."""
    return float(importlib.import_module("pytorch_msssim").ssim(_batch(one), _batch(two), data_range=255))


def torchmetrics_ssim(one: np.ndarray, two: np.ndarray) -> float:
    """torchmetrics, where installed."""
    functional = import_with_stand_in("torchmetrics.functional.image")
    return float(functional.structural_similarity_index_measure(_batch(one), _batch(two), data_range=255.0))


def scipy_matlab3d(one: np.ndarray, two: np.ndarray) -> float:
    """The definition, with separable passes along all three axes of the volume."""

    def smooth(volume: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(volume, 1.5, mode="nearest", radius=5)

    x, y = one.astype(np.float64), two.astype(np.float64)
    mx, my = smooth(x), smooth(y)
    vx, vy, cov = smooth(x * x) - mx**2, smooth(y * y) - my**2, smooth(x * y) - mx * my
    return float(((2 * mx * my + C1) * (2 * cov + C2) / ((mx**2 + my**2 + C1) * (vx + vy + C2))).mean())


def numpy_psnr(one: np.ndarray, two: np.ndarray) -> float:
    """The formula in numpy."""
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - two) ** 2)))


OTHERS: dict[str, dict[str, Implementation]] = {
    "psnr": {
        "scikit-image": lambda one, two: peak_signal_noise_ratio(two, one, data_range=255),
        "numpy float64": numpy_psnr,
    },
    "ssim": {
        "scikit-image": skimage_ssim,
        "OpenCV filters": opencv_ssim,
        "pytorch-msssim": msssim_ssim,
        "torchmetrics": torchmetrics_ssim,
    },
    "ssim-matlab3d": {"scipy, separable": scipy_matlab3d},
    "ssim-uniform7": {"scikit-image": lambda one, two: structural_similarity(one, two, data_range=255, channel_axis=2)},
    "psnr-y": {"numpy float64": lambda one, two: numpy_psnr(luma(one), luma(two))},
    "ssim-y": {"scikit-image": lambda one, two: structural_similarity(luma(one), luma(two), **WANG)},
}


def example_pair(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured frame and a horizontally blurred one, with noise."""
    rng = np.random.default_rng(0)
    sharp = ndimage.zoom(rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3)).astype(float), (8, 8, 1), order=1)
    sharp = np.clip(sharp[:height, :width] + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)
    return cv2.blur(sharp, (9, 1)), sharp


def usable(implementations: dict[str, Implementation], pair: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """The value of each implementation that runs here; it also warms up."""
    values = {}
    for name, function in implementations.items():
        try:
            values[name] = float(function(*pair))
        except (ImportError, RuntimeError) as error:  # a torchvision that does not fit torch raises RuntimeError
            print(f"left out: {name} ({error})", file=sys.stderr)
    return values


def measure(metric: str, pair: tuple[np.ndarray, np.ndarray], rounds: int) -> list[dict[str, object]]:
    """One row for each implementation of a metric: milliseconds and, against ours, ratio and difference."""
    everyone = {"deblurbench": METRICS[metric].load(), **OTHERS[metric]}
    values = usable(everyone, pair)
    clocks = {"cpu": time.process_time, "wall": time.perf_counter}
    seconds: dict[str, dict[str, list[float]]] = {name: {clock: [] for clock in clocks} for name in values}
    for _ in range(rounds):
        for name in values:
            start = {clock: now() for clock, now in clocks.items()}
            everyone[name](*pair)
            for clock, now in clocks.items():
                seconds[name][clock].append(now() - start[clock])
    rows: list[dict[str, object]] = []
    for name, times in seconds.items():
        row: dict[str, object] = {"metric": metric, "implementation": name}
        for clock in clocks:
            row |= against(times[clock], seconds["deblurbench"][clock], clock)
        rows.append(row | {"difference": values[name] - values["deblurbench"]})
    return rows


def against(times: list[float], ours: list[float], clock: str) -> dict[str, float]:
    """Median milliseconds, and the ratios of the rounds: median, smallest, largest."""
    ratios = [time / own for time, own in zip(times, ours, strict=True)]
    return {
        f"{clock}_ms": 1e3 * statistics.median(times), f"{clock}_ratio": statistics.median(ratios),
        f"{clock}_ratio_min": min(ratios), f"{clock}_ratio_max": max(ratios),
    }  # fmt: skip


def machine() -> str:
    """What the figures were taken on."""
    versions = ", ".join(
        f"{m} {importlib.import_module(m).__version__}" for m in ("numpy", "numba", "skimage", "cv2", "torch")
    )
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--only", choices=sorted(OTHERS))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    pair = example_pair(*map(int, asked.size.split("x")))
    rows = [row for metric in OTHERS if asked.only in (None, metric) for row in measure(metric, pair, asked.rounds)]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    print(f"{asked.size}, one thread, {asked.rounds} interleaved rounds, load {load:.1f}; {machine()}\n")
    heads = ["metric", "implementation", "CPU ms", "CPU: times ours", "wall ms", "wall: times ours", "value - ours"]
    print("| " + " | ".join(heads) + " |\n|---|---|---:|---:|---:|---:|---:|")
    for r in rows:
        cells = [str(r["metric"]), str(r["implementation"])]
        for clock in ("cpu", "wall"):
            ratio, low, high = (r[f"{clock}_ratio{end}"] for end in ("", "_min", "_max"))
            cells += [f"{r[f'{clock}_ms']:.2f}", f"{ratio:.1f} ({low:.1f} to {high:.1f})"]
        print("| " + " | ".join([*cells, f"{r['difference']:.1e}"]) + " |")
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine(), "size": asked.size, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
