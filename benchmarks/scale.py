"""How well several workers share the work: `python benchmarks/scale.py [--workers 1,2,4] [--output FILE.json]`.

A method that sleeps SECONDS a frame needs no processor, so that what is lost is the harness's: handing out clips,
decoding, scoring, writing. Efficiency is frames restored, times SECONDS, divided by workers and time, from when all
workers are at work to when the first one has nothing left to do; loading (importing torch) is counted apart.
The cost of a unit is the time between the end of a clip of one frame and the first frame of the next one.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import cv2
import numpy as np

from deblurbench import provenance
from deblurbench.evaluation import runner
from deblurbench.evaluation.plan import make_plan
from deblurbench.evaluation.progress import Listener
from deblurbench.results.manifest import Outcome, Request

SLEEPS = """
import time
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def __init__(self, seconds):
        self.seconds = seconds
    def restore_frame(self, frame):
        time.sleep(self.seconds)
        return frame
"""
CARD = """name: {name}
entry: method:Plugin
title: sleeps
variants: {{default: {{parameters: {{seconds: {seconds}}}}}}}
"""


@dataclass
class Measured:
    """One run. Times in seconds; `cost` is the median between two clips of one worker."""

    engine: str
    workers: int
    frames: int
    seconds_a_frame: float
    wall: float
    loading: float
    efficiency: float


class Watch(Listener):
    """When clips of one method begin and end, and when frames are restored."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.frames: list[float] = []
        self.active: list[tuple[float, int]] = []
        self.gaps: list[float] = []
        self.ended = 0.0
        self.begun: set[str] = set()

    def frame(self, method: str, clip: str, stem: str) -> None:
        """A frame was restored."""
        if method == self.method:
            self.frames.append(time.perf_counter())
            if clip not in self.begun:  # from here on its worker is at work: before, it loaded the method
                self.active.append((self.frames[-1], 1))
            self.begun.add(clip)
            if self.ended:
                self.gaps.append(self.frames[-1] - self.ended)
            self.ended = 0.0

    def outcome(self, outcome: Outcome) -> None:
        """A clip ended."""
        if outcome.method == self.method:
            assert outcome.status == "ok", outcome
            self.ended = time.perf_counter()
            self.active.append((self.ended, -1))

    def efficiency(self, workers: int, seconds: float) -> float:
        """Share of the time in which all workers had work that went into the method itself."""
        count, full = 0, []
        for at, change in self.active:
            count += change
            if count == workers:
                full.append(at)
        first, last = full[0], max(full)
        inside = sum(first < at <= last for at in self.frames)
        return inside * seconds / workers / (last - first)


def prepare(folder: Path, clips: int, frames: int) -> Path:
    """Clips of noise, 64x48."""
    random = np.random.default_rng(0)
    for clip in range(clips):
        for side in ("blur", "sharp"):
            place = folder / side / f"{clip:03d}"
            place.mkdir(parents=True)
            for frame in range(frames):
                cv2.imwrite(str(place / f"{frame:06d}.png"), random.integers(0, 256, (48, 64, 3), np.uint8))
    return folder


def go(folder: Path, name: str, data: Path, output: str, engine: str, workers: int) -> tuple[Watch, float]:
    """One run of a method; what was seen of it, and its wall time."""
    watch = Watch(name)
    request = Request(methods=[name], dataset="folder", data_root=str(data), metrics=["psnr"], save_frames="none")
    how = {"jobs": workers} if engine == "jobs" else {"cluster": f"local:{workers}"}
    plan, began = make_plan(request), time.perf_counter()
    runner.run(plan, folder / output, listener=watch, **how)
    return watch, time.perf_counter() - began


@click.command()
@click.option("--workers", default="1,2,4", show_default=True)
@click.option("--seconds", default=0.5, show_default=True, help="Seconds that the method sleeps a frame.")
@click.option("--clips", default=24, show_default=True)
@click.option("--frames", default=10, show_default=True)
@click.option("--units", default=60, show_default=True, help="Clips of one frame for the cost of a unit.")
@click.option("--output", type=click.Path(path_type=Path))
def main(workers: str, seconds: float, clips: int, frames: int, units: int, output: Path | None) -> None:
    """Measure efficiency by workers, and the cost of a unit, of both engines."""
    rows: list[Measured] = []
    costs: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["DEBLURBENCH_PLUGINS"] = str(folder / "plugins")
        for name, pause in (("sleeps", seconds), ("brief", 0.0)):
            place = folder / "plugins" / "methods" / name
            place.mkdir(parents=True)
            (place / "card.yaml").write_text(CARD.format(name=name, seconds=pause))
            (place / "method.py").write_text(SLEEPS)
        data, single = prepare(folder / "data", clips, frames), prepare(folder / "single", units, 1)
        for engine in ("jobs", "cluster"):
            watch, _ = go(folder, "brief", single, f"{engine}-units", engine, 1)
            costs[engine] = statistics.median(watch.gaps)
            print(f"{engine}: {1000 * costs[engine]:.1f} ms from the end of a clip to the next one's first frame")
            for count in map(int, workers.split(",")):
                watch, wall = go(folder, "sleeps", data, f"{engine}-{count}", engine, count)
                loading = wall - clips * frames * seconds / count
                row = Measured(engine, count, clips * frames, seconds, wall, loading, watch.efficiency(count, seconds))
                rows.append(row)
                print(
                    f"{engine} {count}: efficiency {row.efficiency:.3f}, {wall:.1f} s, of which {loading:.1f} s apart"
                )
    if output:
        facts = {"cpu": provenance.cpu_name(), "cores": os.cpu_count(), "load": os.getloadavg()}
        told = {"machine": facts, "cost_of_a_unit": costs, "runs": [asdict(row) for row in rows]}
        output.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
