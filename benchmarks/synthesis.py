"""How like real blur the synthesised clips are, and how long a training batch takes.

    python benchmarks/synthesis.py --photos PHOTOS [--real GOPRO_CLIP/blur GOPRO_CLIP/sharp] [--clips 32] [--device cpu]

Prints one line for each set of clips (real ones, then synthesised training clips) as a Markdown table: input PSNR in dB
(mean over clips, range of the middle 90 %, spread of the frames within a clip), gradient energy of the blurry frames
over that of the sharp ones along x and y, sharpness of the sharp frames (see `photos.sharpness`), and the length of the
optical flow (OpenCV's DIS, median over the pixels) from one sharp frame to the next, in pixels.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from deblurbench.frames import Frame8
from deblurbench.imagefiles import list_frames, read_frame
from deblurbench.synthesis.photos import find_photos, load_photos, sharpness
from deblurbench.synthesis.recipe import Recipe
from deblurbench.synthesis.source import TrainingSource

Pairs = list[tuple[Frame8, Frame8]]


class Looks(NamedTuple):
    """Figures of one clip."""

    psnr: float
    spread: float
    across: float
    down: float
    sharpness: float
    flow: float


def look(pairs: Pairs) -> Looks:
    """Measure one clip of (blurry, sharp) frames."""
    psnr = [10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()) for a, b in pairs]
    across, down = (np.mean([energy(a, axis) / energy(b, axis) for a, b in pairs]) for axis in (1, 0))
    grey = [cv2.cvtColor(sharp, cv2.COLOR_RGB2GRAY) for _, sharp in pairs]
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flows = [finder.calc(a, b, None) for a, b in itertools.pairwise(grey)]
    flow = np.mean([np.median(np.hypot(f[..., 0], f[..., 1])) for f in flows])
    sharp = np.mean([sharpness(b) for _, b in pairs])
    return Looks(float(np.mean(psnr)), float(np.std(psnr)), float(across), float(down), float(sharp), float(flow))


def energy(frame: Frame8, axis: int) -> float:
    """Mean squared difference of neighbours."""
    return float(np.square(np.diff(frame.astype(np.float32), axis=axis)).mean()) + 1e-9


def row(name: str, looks: list[Looks]) -> str:
    """One line of the table."""
    mean = Looks(*np.mean(looks, axis=0))
    low, high = np.percentile([one.psnr for one in looks], [5, 95])
    flow_low, flow_high = np.percentile([one.flow for one in looks], [5, 95])
    return (
        f"| {name} | {mean.psnr:.1f} ({low:.1f} to {high:.1f}) | {mean.spread:.1f} "
        f"| {mean.across:.2f} / {mean.down:.2f} | {mean.sharpness:.2f} "
        f"| {mean.flow:.1f} ({flow_low:.1f} to {flow_high:.1f}) |"
    )


def real(blurry: Path, sharp: Path, reduce: int) -> Iterator[Pairs]:
    """A real clip, reduced by a whole factor, in pieces of six frames."""
    files = list(zip(list_frames(blurry), list_frames(sharp), strict=True))
    for first in range(0, len(files) - 5, 6):
        yield [(small(read_frame(a), reduce), small(read_frame(b), reduce)) for a, b in files[first : first + 6]]


def small(frame: Frame8, reduce: int) -> Frame8:
    """Reduced by averaging."""
    size = (frame.shape[1] // reduce, frame.shape[0] // reduce)
    return frame if reduce == 1 else np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))


def synthetic(source: TrainingSource, clips: int) -> Iterator[Pairs]:
    """Training clips as 8-bit frames."""
    for step in range(-(-clips // source.size)):
        batch = source.batch(step)
        for blurry, sharp in zip(batch.blurry, batch.sharp, strict=True):
            eight = [side.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy() for side in (blurry, sharp)]
            yield list(zip(*eight, strict=True))


def timing(source: TrainingSource, steps: int = 10) -> str:
    """Wall and processor time of a batch after two to warm up."""
    [source.batch(step) for step in range(2)]
    wall, cpu = time.perf_counter(), time.process_time()
    for step in range(2, 2 + steps):
        source.batch(step).blurry.sum().item()
    wall, cpu = (time.perf_counter() - wall) / steps, (time.process_time() - cpu) / steps
    shape = f"{source.size} x {source.frames} x {source.height}x{source.width}"
    return f"batch of {shape}: {wall:.3f} s (processor {cpu:.3f} s)"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--real", type=Path, nargs=2, action="append", default=[], metavar=("BLURRY", "SHARP"))
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, 1 thread, load {load:.1f}\n")
    photos = load_photos(find_photos(asked.photos), asked.device)
    print(
        timing(TrainingSource(photos, Recipe(), batch=4, frames=6, crop=96, seed=0)) + f", {len(photos)} photographs\n"
    )
    print("| clips | input PSNR (5 to 95 %) | within a clip | gradient energy x / y | sharpness | flow (5 to 95 %) |")
    print("|---|---|---|---|---|---|")
    for blurry, sharp in asked.real:
        for reduce in (1, 4) if read_frame(list_frames(sharp)[0]).shape[1] > 640 else (1,):
            name = f"{sharp.parent.name}/{sharp.name}" + (f", reduced by {reduce}" if reduce > 1 else "")
            print(row(name, [look(pairs) for pairs in real(blurry, sharp, reduce)]), flush=True)
    for crop in (96, 192):
        source = TrainingSource(photos, Recipe(), batch=4, frames=6, crop=crop, seed=1)
        print(row(f"synthesised, crop {crop}", [look(pairs) for pairs in synthetic(source, asked.clips)]), flush=True)


if __name__ == "__main__":
    main()
