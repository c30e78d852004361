"""What a GPU makes of training and inference, as ratios to what it can do: one command, one JSON file.

    python -m benchmarks.gpu --output gpu.json [--photographs FOLDER] [--seconds 20]

* `ceiling`: the fastest of a few bf16 convolutions, in FLOP/s: what the shares below are shares of.
* `training`: IFI-RNN's paper-sized batches (4 clips of 12 frames of 256x256, bf16), frames a second, the arithmetic of
  a step (torch's count) as a share of the ceiling, and the share of the time spent waiting for batches.
* `inference`: IFI-RNN C2H3 at 960x540 and 1280x720 in fp32, tf32 and bf16, by `bench`; fps beside the paper's 28.8 on
  a GTX 1080 Ti, which it took at 960x540 (Table 1).
* `agreement`: PSNR in dB on one clip of mini, of the CPU in fp32, and how far from it the GPU is in each precision.

`--device cpu --small` runs all of it on a CPU at toy sizes, to see that it works; those figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from deblurbench import provenance
from deblurbench.backends.device import describe_device, resolve_device, set_precision_flags
from deblurbench.backends.load import load_method
from deblurbench.datasets.opening import open_dataset
from deblurbench.evaluation.execution.jobs import job_outside_run
from deblurbench.evaluation.plan import plan_method
from deblurbench.evaluation.restore import restored_frames
from deblurbench.evaluation.settings import Settings
from deblurbench.runtime.benchmark import Settings as BenchSettings
from deblurbench.runtime.benchmark import measure
from deblurbench.training.recipe import TrainRequest
from deblurbench.training.run import Run
from deblurbench.training.setup import prepare
from deblurbench.training.sources import Ahead
from deblurbench.training.validation import psnr, squared_error

PAPER_FPS = 28.8
SIZES = ((960, 540), (1280, 720))
PRECISIONS = ("fp32", "tf32", "bf16")
SHAPES = ((16, 128, 128, 128), (8, 256, 128, 128), (8, 512, 64, 64))
"""Batches (B, C, H, W) of the ceiling's 3x3 convolutions from C to C channels."""


def wait(device: str) -> None:
    """Until the device has finished what was asked of it."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def seconds_each(work: Callable[[], Any], device: str, seconds: float) -> list[float]:
    """Seconds of single calls, synchronised on both sides, after three that do not count."""
    for _ in range(3):
        work()
    taken: list[float] = []
    end = time.monotonic() + seconds
    while len(taken) < 5 or time.monotonic() < end:
        wait(device)
        begin = time.perf_counter()
        work()
        wait(device)
        taken.append(time.perf_counter() - begin)
    return taken


def ceiling(device: str, small: bool, seconds: float) -> dict[str, Any]:
    """The best of a few bf16 convolutions, in FLOP/s (a multiply-add is two)."""
    found = []
    for shape in [(1, 8, 16, 16)] if small else SHAPES:
        channels = shape[1]
        x = torch.randn(shape, device=device, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
        w = torch.randn(channels, channels, 3, 3, device=device, dtype=torch.bfloat16)
        w = w.contiguous(memory_format=torch.channels_last)
        taken = seconds_each(lambda x=x, w=w: F.conv2d(x, w, padding=1), device, seconds / 4)  # type: ignore[misc]
        work = 2 * 9 * channels * x.numel()
        found.append({"shape": list(shape), "flop_per_s": work / statistics.median(taken)})
    return max(found, key=lambda one: one["flop_per_s"])


def training(device: str, small: bool, photographs: list[Path], seconds: float, most: float) -> list[dict[str, Any]]:
    """Variants of IFI-RNN trained for a while on synthesised clips: how fast, and what share of the ceiling that is."""
    sizes = ("batch=1", "frames=2", "crop=32") if small else ("batch=4", "frames=12", "crop=256")
    told = []
    for variant in ("C1H1", "C2H3-reg"):
        settings = (*sizes, "validation_clips=0", f"precision={'fp32' if small else 'bf16'}")
        request = TrainRequest(
            method="ifirnn", variant=variant, dataset="synth" if photographs else "mini", roots=tuple(photographs),
            output=Path("nothing-is-written"), settings=settings, device=device, quiet=True,
        )  # fmt: skip
        run = prepare(request)
        told.append({"variant": variant, "settings": settings, **_train(run, device, seconds, most)})
    return told


def _train(run: Run, device: str, seconds: float, most: float) -> dict[str, Any]:
    from torch.utils.flop_counter import FlopCounterMode

    from deblurbench.training.loop import take_step

    workers = getattr(run.data.source, "workers", 1)
    ahead = Ahead(run.data.source, 0, workers=workers)
    waits = []

    def step() -> None:
        before = ahead.waited
        batch = ahead.next()
        waits.append(ahead.waited - before)
        take_step(run, run.module, batch, run.recipe.learning_rate)
        run.step += 1

    try:
        with FlopCounterMode(display=False) as counter:
            step()
        taken = seconds_each(step, device, seconds)
    finally:
        ahead.close()
    each = statistics.median(taken)
    return {
        "frames_per_s": run.recipe.batch * run.recipe.frames / each,
        "share_of_ceiling": counter.get_total_flops() / each / most,
        "waiting_for_batches": sum(waits[-len(taken) :]) / sum(taken),
        "steps": len(taken),
        "step_seconds": {"median": each, "least": min(taken), "most": max(taken)},
    }


def inference(device: str, small: bool, seconds: float) -> list[dict[str, Any]]:
    """C2H3 by `bench`, size by size and precision by precision."""
    told = []
    for precision in ("fp32",) if small else PRECISIONS:
        planned = [plan_method("ifirnn:C2H3", random_weights=True)]
        settings = BenchSettings(device=device, precision=precision, seconds=seconds)
        for found in measure(planned, [(64, 48)] if small else SIZES, settings).results:
            plain = found.as_dict()
            fps = plain.get("fps")
            to_paper = fps / PAPER_FPS if fps and (found.width, found.height) == SIZES[0] else None
            told.append({**plain, "precision": precision, "to_paper": to_paper})
    return told


def agreement(device: str, small: bool) -> list[dict[str, Any]]:
    """Mean PSNR of one clip of mini on the CPU in fp32, and the GPU's difference to it, for weights that ship."""
    dataset, protocol = open_dataset("mini", None)
    clip = dataset.clips(protocol, "test")[0]
    blurry = list(clip.blurry)[: 2 if small else None]
    sharp = list(clip.sharp or ())[: len(blurry)]
    told = []
    for name in ("ifirnn:C1H1",) if small else ("ifirnn:C1H1", "ifirnn:C2H3-reg", "srn:rgb"):
        values = {"cpu fp32": _mean_psnr(name, "cpu", "fp32", blurry, sharp)}
        for precision in ("fp32",) if small else PRECISIONS:
            values[f"{device} {precision}"] = _mean_psnr(name, device, precision, blurry, sharp)
        cpu = values["cpu fp32"]
        told.append({"method": name, "psnr": values, "difference": {key: v - cpu for key, v in values.items()}})
    return told


def _mean_psnr(name: str, device: str, precision: str, blurry: list[Any], sharp: list[Any]) -> float:
    planned = plan_method(name)
    set_precision_flags(precision)
    job = job_outside_run(planned, device, precision)
    method, card = load_method(job, device)
    settings = Settings(device=device, precision=precision, multiple_of=card.needs.multiple_of)
    walk = restored_frames(method, blurry, settings)
    return statistics.fmean(
        psnr(squared_error(one.rounded.frame, truth)) for one, truth in zip(walk, sharp, strict=True)
    )


def main(words: list[str] | None = None) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--photographs", type=Path, action="append", default=[], help="else mini's own")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each measurement")
    parser.add_argument("--small", action="store_true", help="toy sizes, to try the command itself")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args(words)
    device = resolve_device(asked.device)
    most = ceiling(device, asked.small, asked.seconds)
    told = {
        "device": describe_device(device),
        "packages": provenance.package_versions(),
        "driver": provenance.driver_version(),
        "ceiling": most,
        "agreement": agreement(device, asked.small),
        "training": training(device, asked.small, asked.photographs, asked.seconds, most["flop_per_s"]),
        "inference": inference(device, asked.small, asked.seconds),
    }
    text = json.dumps(told, indent=2) + "\n"
    print(text, end="")
    if asked.output:
        asked.output.write_text(text)


if __name__ == "__main__":
    main()
