"""Peak resident memory of a worker: a 2,000-frame clip against a 50-frame clip, each in a process of its own.

    python benchmarks/memory.py [--methods identity,ifirnn] [--frames 2000]

Prints the ratio, which should be 1.00 +- 0.05. Frames are 320x180.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from deblurbench.frames.images import write_png


def write_clip(root: Path, name: str, frames: int) -> None:
    """A clip of 50 different noisy frames, repeated by hard links."""
    noise = np.random.default_rng(0).integers(0, 256, (50, 180, 320, 3), dtype=np.uint8)
    for side in ("blur", "sharp"):
        first = []
        for index in range(frames):
            file = root / side / name / f"{index:06d}.png"
            if index < 50:
                write_png(file, noise[index])
                first.append(file)
            else:
                os.link(first[index % 50], file)


def peak(root: Path, clip: str, methods: str, output: Path) -> dict[str, int]:
    """Peak bytes of each method's worker on a clip."""
    command = [
        sys.executable, "-m", "deblurbench", "run", "--methods", methods, "--dataset", "folder", "--data-root",
        str(root), "--clips", clip, "--metrics", "psnr,ssim", "--output", str(output), "--save-frames", "none",
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    outcomes = json.loads((output / "run.json").read_text())["outcomes"]
    return {o["method"]: o["peak_memory"] for o in outcomes}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default="identity")
    parser.add_argument("--frames", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "data"
        write_clip(root, "short", 50)
        write_clip(root, "long", options.frames)
        short = peak(root, "short", options.methods, Path(place) / "short")
        long = peak(root, "long", options.methods, Path(place) / "long")
    for method in short:
        print(
            f"{method}: 50 frames {short[method] / 1e6:.0f} MB, {options.frames} frames {long[method] / 1e6:.0f} MB, "
            f"ratio {long[method] / short[method]:.3f}"
        )


if __name__ == "__main__":
    main()
