"""How fast a training on this processor is, how near to what its convolutions allow, and where the time goes.

    python -m benchmarks.training [--rounds 9] [--threads 1] [--precision bf16]

A round times, one after the other, the 80x80 convolution of 3x3 taps that IFI-RNN mostly consists of (forward and
backward, in the training's precision), drawing a batch from a pool, forward and backward, and the optimiser's step.
Printed are medians: pixels a second of a whole step, the multiply-adds a second as a share of the convolution's, and
the shares of a step's time. Times are CPU seconds of this process over its threads: other programs on the machine
disturb them little. Multiply-adds of a step are those that torch counts in the forward pass, times three.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from deblurbench import provenance
from deblurbench.training.loop import take_step
from deblurbench.training.optimiser import multiplies_bfloat16
from deblurbench.training.recipe import TrainRequest
from deblurbench.training.setup import Run, prepare

SUBJECTS = (("ifirnn", "C1H1", 2, 6, 96), ("ifirnn", "C2H3-reg", 2, 6, 96), ("srn", "narrow-window", 2, 6, 96))
"""Method, variant, clips of a batch, frames of a clip, and side of a crop."""
POOL = "synthesis.pool={clips: 8, frames: 8, side: 128, first: 8, fresh: 0}"


def cpu_seconds() -> float:
    """CPU time of this process, over its threads."""
    return time.process_time() / torch.get_num_threads()


def ready(method: str, variant: str, batch: int, frames: int, crop: int, precision: str) -> Run:
    """A training at its first step; only the pool's clips are written, into the cache."""
    sizes = (f"batch={batch}", f"frames={frames}", f"crop={crop}", "validation_clips=0", "optimiser=muon", POOL)
    request = TrainRequest(
        method=method, variant=variant, dataset="mini", output=Path("nothing-is-written"), quiet=True, device="cpu",
        settings=(*sizes, f"precision={precision}"),
    )  # fmt: skip
    return prepare(request)


def ceiling(batch: int, crop: int, precision: str) -> Callable[[], float]:
    """A function that times one convolution, forward and backward, and returns multiply-adds a second."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    side = crop // 4
    x, kernel = (
        torch.randn(shape).to(dtype).to(memory_format=torch.channels_last).requires_grad_()
        for shape in ((batch, 80, side, side), (80, 80, 3, 3))
    )

    def measure() -> float:
        begin = cpu_seconds()
        out = F.conv2d(x, kernel, padding=1)
        out.backward(out.detach())
        return 3 * batch * side**2 * kernel.numel() / (cpu_seconds() - begin)

    return measure


def multiply_adds(run: Run) -> float:
    """Of one training step: three times those of the forward pass."""
    batch = run.data.source.batch(0)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run.module(batch.blurry, batch.sharp)
    return 3 * counter.get_total_flops() / 2


def one_round(run: Run, step: int) -> dict[str, float]:
    """Seconds of drawing a batch, of a whole step, and of the optimiser alone."""
    begin = cpu_seconds()
    batch = run.data.source.batch(step)
    drawn = cpu_seconds()
    take_step(run, run.module, batch, run.recipe.learning_rate)
    stepped = cpu_seconds()
    run.optimiser.step()
    done = cpu_seconds()
    return {"synthesis": drawn - begin, "step": stepped - drawn, "optimiser": done - stepped}


def describe(method: str, variant: str, batch: int, frames: int, crop: int, precision: str, rounds: int) -> str:
    """One line about a subject."""
    run = ready(method, variant, batch, frames, crop, precision)
    work, convolve = multiply_adds(run), ceiling(batch, crop, precision)
    for step in range(2):  # do not count
        one_round(run, step)
        convolve()
    peak, times = [], []
    for step in range(rounds):
        peak.append(max(convolve() for _ in range(20)))
        times.append(one_round(run, step))
    middle = {key: statistics.median(taken[key] for taken in times) for key in times[0]}
    whole = middle["synthesis"] + middle["step"]
    reached = work / middle["step"] / statistics.median(peak)
    return (
        f"{method}:{variant}, {batch} x {frames} x {crop}x{crop}, {precision}: "
        f"{batch * frames * crop**2 / whole / 1e6:.2f} million pixels a second; convolutions at {reached:.0%} of "
        f"{statistics.median(peak) / 1e9:.0f} GMAC/s; synthesis {middle['synthesis'] / whole:.0%} of the time, "
        f"optimiser {middle['optimiser'] / whole:.0%}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    quick = "with" if multiplies_bfloat16() else "without"
    print(
        f"{provenance.cpu_name()}, {quick} bfloat16 instructions, {words.threads} thread(s), torch {torch.__version__}"
    )
    for subject in SUBJECTS:
        print(describe(*subject, words.precision, words.rounds), flush=True)


if __name__ == "__main__":
    main()
