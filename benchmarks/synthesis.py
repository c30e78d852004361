"""How like real blur the synthesised clips are, and how long a training batch takes.

    python benchmarks/synthesis.py --photos PHOTOS [--real GOPRO_CLIP/blur GOPRO_CLIP/sharp] [--clips 32] [--device cpu]
    python benchmarks/synthesis.py --photos PHOTOS --recipe ifirnn:quick --recipe srn:quick --recipe srn:window \
        --dataset mini test - --dataset gopro:linear train ROOT --dataset reds:x4 train ROOT \
        --output docs/evidence/blur.json

Prints one line for each set of clips (real ones, then synthesised training clips) as a Markdown table: input PSNR in dB
(mean over frames, its 5th, 50th and 95th percentile, spread of the frames within a clip), gradient energy of the blurry
frames over that of the sharp ones along x and y, sharpness of the sharp frames (see `photos.sharpness`), and the length
of the optical flow (OpenCV's DIS, median over the pixels) from one sharp frame to the next, in pixels.

Without --recipe, clips by the synthesiser's default settings are measured. With it, those that a training by that
recipe is given on `synth` (seed 0, the train share of the photographs), and the clips that it validates on. --dataset
measures a dataset's clips, of which only the frames that its protocol scores count for everything but the flow.
--output keeps all figures as JSON.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from deblurbench.datasets.opening import open_dataset
from deblurbench.datasets.synthesis.photos import find_photos, load_photos, sharpness
from deblurbench.datasets.synthesis.recipe import Recipe
from deblurbench.datasets.synthesis.source import TrainingSource
from deblurbench.frames.convert import Frame8
from deblurbench.frames.images import list_frames, read_frame
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import plugin
from deblurbench.training.recipe import read_recipe
from deblurbench.training.validation import held_out, psnr, squared_error
from docs.generate.training.likeness import columns, row
from docs.generate.training.stored import write_json

Pairs = Sequence[tuple[Frame8, Frame8]]


class Looks(NamedTuple):
    """Figures of one clip: lists hold one value a frame, or a pair of neighbouring frames."""

    psnr: list[float]
    across: list[float]
    down: list[float]
    sharpness: list[float]
    flow: list[float]
    size: str


def look(pairs: Pairs, scored: Iterable[int] | None = None) -> Looks:
    """Measure one clip of (blurry, sharp) frames; those at `scored`, or all, count for everything but the flow."""
    seen = [pairs[at] for at in scored] if scored is not None else pairs
    grey = [cv2.cvtColor(sharp, cv2.COLOR_RGB2GRAY) for _, sharp in pairs]
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flows = [finder.calc(a, b, None) for a, b in itertools.pairwise(grey)]
    return Looks(
        psnr=[psnr(squared_error(a, b)) for a, b in seen],
        across=[energy(a, 1) / energy(b, 1) for a, b in seen],
        down=[energy(a, 0) / energy(b, 0) for a, b in seen],
        sharpness=[sharpness(b) for _, b in seen],
        flow=[float(np.median(np.hypot(f[..., 0], f[..., 1]))) for f in flows],
        size=f"{pairs[0][0].shape[1]}x{pairs[0][0].shape[0]}",
    )


def energy(frame: Frame8, axis: int) -> float:
    """Mean squared difference of neighbours."""
    return float(np.square(np.diff(frame.astype(np.float32), axis=axis)).mean()) + 1e-9


def summary(name: str, looks: Sequence[Looks]) -> dict[str, Any]:
    """The figures of a set of clips, as docs/evidence/blur.json keeps them."""
    every = {key: [v for one in looks for v in getattr(one, key)] for key in ("across", "down", "sharpness")}
    return {
        "name": name,
        "size": ", ".join(dict.fromkeys(one.size for one in looks)),
        "clips": len(looks),
        "frames": sum(len(one.psnr) for one in looks),
        "psnr": spread([v for one in looks for v in one.psnr]),
        "within": round(float(np.mean([np.std(one.psnr) for one in looks])), 3),
        "flow": spread([v for one in looks for v in one.flow]),
        **{key: round(float(np.mean(values)), 4) for key, values in every.items()},
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and percentiles."""
    low, middle, high = np.percentile(values, [5, 50, 95])
    told = {"mean": np.mean(values), "5": low, "50": middle, "95": high}
    return {key: round(float(value), 3) for key, value in told.items()}


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


def of_recipe(text: str, photos: Sequence[Path], clips: int, device: str) -> Iterator[dict[str, Any]]:
    """What a training by METHOD:RECIPE is given, at least two frames a clip; and what it validates on."""
    method, _, name = text.partition(":")
    card = plugin("methods", method).card
    assert isinstance(card, MethodCard)
    recipe = read_recipe(card, name)
    dataset, protocol = open_dataset("synth", os.pathsep.join(map(str, photos)))
    shape = {"batch": recipe.batch, "frames": max(2, recipe.frames), "crop": recipe.crop}
    source = dataset.training_source(protocol, **shape, seed=0, device=device, **recipe.synthesis)
    yield summary(f"training, {text}", [look(pairs) for pairs in synthetic(source, clips)])
    held = held_out(dataset, protocol, recipe)
    looks = [look(list(zip(clip.blurry, clip.sharp, strict=True)), clip.scored) for clip in held]
    yield summary(f"validation, {text}", looks)


def of_dataset(name: str, split: str, root: str) -> Iterator[dict[str, Any]]:
    """The clips of a dataset's split that lie under the root: all as one set, real or not."""
    dataset, protocol = open_dataset(name, None if root == "-" else root)
    clips = [clip for clip in dataset.clips(protocol, split) if clip.sharp is not None]
    looks = [look(list(zip(clip.blurry, clip.sharp or (), strict=True)), protocol.scored(len(clip))) for clip in clips]
    yield summary(f"{name} {clips[0].name}" if len(clips) == 1 else name, looks)


def timing(source: TrainingSource, steps: int = 10) -> str:
    """Wall and processor time of a batch after two to warm up."""
    [source.batch(step) for step in range(2)]
    wall, cpu = time.perf_counter(), time.process_time()
    for step in range(2, 2 + steps):
        source.batch(step).blurry.sum().item()
    wall, cpu = (time.perf_counter() - wall) / steps, (time.process_time() - cpu) / steps
    shape = f"{source.size} x {source.frames} x {source.height}x{source.width}"
    return f"batch of {shape}: {wall:.3f} s (processor {cpu:.3f} s)"


def measured(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All sets of clips that were asked for, one after the other."""
    for recipe in asked.recipe:
        yield from of_recipe(recipe, asked.photos, asked.clips, asked.device)
    for name, split, root in asked.dataset:
        yield from of_dataset(name, split, root)
    for blurry, sharp in asked.real:
        for reduce in (1, 4) if read_frame(list_frames(sharp)[0]).shape[1] > 640 else (1,):
            name = f"{sharp.parent.name}/{sharp.name}" + (f", reduced by {reduce}" if reduce > 1 else "")
            yield summary(name, [look(pairs) for pairs in real(blurry, sharp, reduce)])
    if not asked.recipe:
        yield from by_default(asked)


def by_default(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Clips of all photographs by the synthesiser's default settings, and how long they take."""
    photos = load_photos(find_photos(asked.photos), asked.device)
    took = timing(TrainingSource(photos, Recipe(), batch=4, frames=6, crop=96, seed=0))
    for crop in (96, 192):
        source = TrainingSource(photos, Recipe(), batch=4, frames=6, crop=crop, seed=1)
        yield summary(f"synthesised, crop {crop}", [look(pairs) for pairs in synthetic(source, asked.clips)])
    print(f"\n{took}, {len(photos)} photographs")


def main(words: Sequence[str] | None = None) -> None:
    """Parse, measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--real", type=Path, nargs=2, action="append", default=[], metavar=("BLURRY", "SHARP"))
    parser.add_argument("--recipe", action="append", default=[], metavar="METHOD:RECIPE")
    parser.add_argument("--dataset", nargs=3, action="append", default=[], metavar=("NAME", "SPLIT", "ROOT"))
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args(words)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, 1 thread, load {load:.1f}\n")
    print(f"| {' | '.join(columns())} |\n|{'---|' * len(columns())}")
    kept = []
    for one in measured(asked):
        kept.append(one)
        print(f"| {' | '.join(row(one))} |", flush=True)
    if asked.output:
        write_json(kept, asked.output)


if __name__ == "__main__":
    main()
