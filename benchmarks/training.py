"""What bf16 makes of training on this processor: steps in fp32 and in bf16, round by round, and their ratio.

    python -m benchmarks.training [--rounds 9] [--threads 1]

A step is forward, backward and Muon's, on a batch that is there; the shapes are those that the shipped weights were
trained with. On processors without AMX or AVX-512 BF16 the ratio can lie below 1.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch

from deblurbench import provenance
from deblurbench.training.loop import take_step
from deblurbench.training.optimiser import multiplies_bfloat16
from deblurbench.training.recipe import TrainRequest
from deblurbench.training.run import Run
from deblurbench.training.setup import prepare

SUBJECTS = (("ifirnn", "C1H1", 7), ("srn", "narrow-window", 6))
"""Method, variant, and frames of a clip; two clips of 128x128 a step."""


def ready(method: str, variant: str, frames: int, precision: str) -> Run:
    """A training at its first step; nothing is written."""
    sizes = ("batch=2", f"frames={frames}", "crop=128", "validation_clips=0", "optimiser=muon")
    request = TrainRequest(
        method=method, variant=variant, dataset="mini", output=Path("nothing-is-written"), quiet=True, device="cpu",
        settings=(*sizes, f"precision={precision}"),
    )  # fmt: skip
    return prepare(request)


def seconds(run: Run, batch: object) -> float:
    """Seconds of one step."""
    begin = time.perf_counter()
    take_step(run, run.module, batch, run.recipe.learning_rate)  # type: ignore[arg-type]
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    quick = "with" if multiplies_bfloat16() else "without"
    print(
        f"{provenance.cpu_name()}, {quick} bfloat16 instructions, {words.threads} thread(s), torch {torch.__version__}"
    )
    for method, variant, frames in SUBJECTS:
        runs = {precision: ready(method, variant, frames, precision) for precision in ("fp32", "bf16")}
        batch = runs["fp32"].data.source.batch(0)
        for run in runs.values():
            seconds(run, batch)  # does not count
        rounds = [{name: seconds(run, batch) for name, run in runs.items()} for _ in range(words.rounds)]
        ratios = sorted(taken["fp32"] / taken["bf16"] for taken in rounds)
        pixels = 2 * frames * 128**2 / statistics.median(taken["bf16"] for taken in rounds) / 1e6
        print(
            f"{method}:{variant}, {frames} frames: fp32 takes {statistics.median(ratios):.2f} times as long as bf16 "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f}); bf16: {pixels:.2f} million pixels a second"
        )


if __name__ == "__main__":
    main()
