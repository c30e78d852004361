"""What the harness costs beside the model: a whole pass over a clip against the bare loop over the same frames.

    python benchmarks/harness.py [--method ifirnn] [--size 640x360] [--frames 24] [--rounds 3]

The yardstick is the method's own `restore` over frames that lie decoded in memory, in the same run. The pass adds
decoding PNGs, padding, rounding, psnr and ssim, and writing every PNG. Prints the ratio of wall times with its spread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from deblurbench.backends.load import load_method
from deblurbench.datasets.base import Clip, ImageFiles
from deblurbench.evaluation.execution.jobs import job_outside_run
from deblurbench.evaluation.plan import plan_method
from deblurbench.evaluation.restore import restore_clip
from deblurbench.evaluation.settings import Settings
from deblurbench.frames.convert import to_float
from deblurbench.frames.images import read_frame, write_png
from deblurbench.metrics import metric


def write_frames(folder: Path, frames: int, width: int, height: int) -> ImageFiles:
    """Smooth moving noise as PNG files."""
    texture = np.random.default_rng(0).uniform(0, 255, (height // 4 + frames, width // 4 + frames, 3))
    big = texture.repeat(4, axis=0).repeat(4, axis=1).astype(np.uint8)
    files = []
    for t in range(frames):
        files.append(folder / f"{t:06d}.png")
        write_png(files[-1], np.ascontiguousarray(big[t : t + height, t : t + width]))
    return ImageFiles(tuple(files))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="ifirnn")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    planned = plan_method(options.method, random_weights=True)
    method, card = load_method(job_outside_run(planned, "cpu"), "cpu")
    metrics = {name: metric(name).load() for name in ("psnr", "ssim")}
    settings = Settings(device="cpu", multiple_of=card.needs.multiple_of, metrics=metrics)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = write_frames(folder / "in", options.frames, width, height)
        decoded = [to_float(read_frame(path)) for path in source.paths]
        clip = Clip("clip", source, source)
        save = {stem: folder / "out" / f"{stem}.png" for stem in clip.stems}
        bare, whole = [], []
        for _ in range(options.rounds + 1):
            began = time.perf_counter()
            with torch.inference_mode():
                for _ in method.restore(iter(decoded)):
                    pass
            bare.append(time.perf_counter() - began)
            began = time.perf_counter()
            restore_clip(method, clip, settings, scored=set(clip.stems), save=save)
            whole.append(time.perf_counter() - began)
    ratios = sorted(w / b for w, b in zip(whole[1:], bare[1:], strict=True))
    print(
        f"{planned.id} at {width}x{height}, {options.frames} frames, {torch.get_num_threads()} threads: "
        f"bare {statistics.median(bare[1:]):.2f} s, whole pass {statistics.median(whole[1:]):.2f} s, "
        f"ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
    )


if __name__ == "__main__":
    main()
