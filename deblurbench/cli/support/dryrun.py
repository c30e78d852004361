"""What `run --dry-run` prints: each method and clip, its state and why, and an estimate of time and disk."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from deblurbench.cli.terminal import print_json, print_table, say
from deblurbench.datasets.selection import without
from deblurbench.errors import DeblurbenchError
from deblurbench.evaluation.execution.events import Broken
from deblurbench.evaluation.execution.jobs import job_outside_run
from deblurbench.evaluation.execution.supervisor import LOADING, Worker
from deblurbench.evaluation.plan import Plan, PlannedMethod
from deblurbench.evaluation.saved_frames import FrameKeeper
from deblurbench.evaluation.survey import Work, survey
from deblurbench.registry.by_path import is_named_by_path
from deblurbench.results.frame_choice import PNG_BYTES_A_PIXEL
from deblurbench.results.lock import check_folder
from deblurbench.results.run import Run
from deblurbench.results.store import Store
from deblurbench.text import counted, some


def print_dry_run(plan: Plan, folder: Path, fresh: bool, as_json: bool) -> int:
    """Print the plan; nothing is written or restored. Returns the run's exit code: 1 where something cannot be run."""
    if folder.exists() and not fresh:
        check_folder(folder, plan.request, fresh=False)
    survey_of = survey(plan, Store(folder / "nothing" if fresh else folder))
    works = _with_unready(plan, [_told_lacking(work) for work in survey_of])
    code = 1 if any(work.state == "problem" for work in works) else 0
    speeds = seconds_a_megapixel(folder.parent, {method.id for method in plan.methods})
    head = ("method", "clip", "frames", "state", "why", "seconds")
    rows = [_row(work, speeds) for work in works]
    if as_json:
        work = [dict(zip(head, row, strict=True)) for row in rows]
        print_json({"output": str(folder), "coverage": plan.coverage, "work": work})
        return code
    print_table(head, rows)
    todo = [(work, row[-1]) for work, row in zip(works, rows, strict=True) if work.state != "cached"]
    known = [float(str(seconds)) for _, seconds in todo if seconds != "?"]
    unknown = sum(seconds == "?" for _, seconds in todo)
    say(f"\n{plan.protocol.name}: {plan.coverage}. Output: {folder}")
    say_problems(plan)
    for line in (*(f"{m.id} is absent: {m.absent}" for m in plan.metrics if m.absent), *plan.notes):
        say(f"! {line}")
    say(f"time: {_time(known, unknown)}")
    say(f"disk: at most about {disk(plan) / 1e6:.0f} MB of frames")
    return code


def _told_lacking(work: Work) -> Work:
    """What is to be done, as a problem where the method lacks something that is not installed."""
    if not work.method.lacks or work.state in ("cached", "problem"):
        return work
    return replace(work, state="problem", why=" ".join(work.method.lacks.split()))


def _with_unready(plan: Plan, works: list[Work]) -> list[Work]:
    """What is to be done, as a problem where a method named by a path cannot be loaded: each is tried by a worker."""
    methods = {work.method.id: work.method for work in works if work.state not in ("cached", "problem")}
    reasons = {name: why for name, method in methods.items() if (why := _unready(plan, method))}
    return [
        replace(work, state="problem", why=reasons[work.method.id])
        if work.method.id in reasons and work.state not in ("cached", "problem")
        else work
        for work in works
    ]


def _unready(plan: Plan, method: PlannedMethod) -> str:
    """Why a method named by a path cannot be made ready; empty where it can, and for the registry's own."""
    if method.plugin.in_process or not is_named_by_path(method.plugin.reference):
        return ""
    with tempfile.TemporaryDirectory(prefix="dry-run-") as place:
        job = job_outside_run(
            method, "cpu", random_weights=method.random, output=place, dataset=plan.request.dataset,
            data_root=plan.request.data_root, split=plan.split,
        )  # fmt: skip
        worker = Worker(job, Path(place) / "worker.log", LOADING)
        try:
            event = worker.ready()
        finally:
            worker.kill()
    return " ".join(event.reason.split()) if isinstance(event, Broken) else ""


def say_problems(plan: Plan) -> None:
    """Tell what to do where some clips cannot be run; nothing where all can, or none."""
    bad = [clip.clip.name for clip in plan.clips if clip.problems]
    rest = [clip.clip.name for clip in plan.clips if not clip.problems]
    if bad and rest:
        say(f"no row will have a mean, since {some(bad)} cannot be run. {without(rest)}")


def _time(known: list[float], unknown: int) -> str:
    """The time that the run takes, in words; `known` are the seconds of each clip that was timed before."""
    never = f"{counted(unknown, 'clip')} {'was' if unknown == 1 else 'were'} never timed before"
    if unknown and not any(known):
        return f"unknown: {never}"
    return f"about {sum(known):.0f} s" + (f"; {never}" if unknown else "")


def _row(work: Work, speeds: dict[str, float]) -> tuple[object, ...]:
    clip = work.clip
    seconds = "?"
    if work.state in ("cached", "problem"):
        seconds = "0"
    elif work.method.id in speeds and clip.size:
        seconds = f"{speeds[work.method.id] * clip.size[0] * clip.size[1] / 1e6 * len(clip.clip):.0f}"
    return work.method.id, clip.clip.name, len(clip.clip), work.state, work.why, seconds


def seconds_a_megapixel(runs: Path, methods: set[str]) -> dict[str, float]:
    """Median seconds a megapixel of each method, from the timings of the runs that lie in `runs`."""
    speeds: dict[str, list[float]] = {}
    for file in sorted(runs.glob("*/run.json")) if runs.is_dir() else []:
        try:
            earlier = Run.open(file.parent)
            sizes = {clip.name: clip.width * clip.height / 1e6 for clip in earlier.manifest.clips}
            for method in methods:
                for clip, times in earlier.seconds(method).groupby(level="clip", sort=False):
                    if sizes.get(str(clip)):
                        speeds.setdefault(method, []).extend(times / sizes[str(clip)])
        except DeblurbenchError:
            continue  # an unreadable neighbour only costs us its timings
    return {method: statistics.median(values) for method, values in speeds.items()}


def disk(plan: Plan) -> float:
    """Estimated bytes of the PNGs that the run writes, every method's and the ground truth's; candidates go later."""
    frame_keeper = FrameKeeper(plan, Store(Path()))
    pixels = sum(len(frame_keeper.to_save(c)) * c.size[0] * c.size[1] for c in plan.clips if c.size)
    return pixels * PNG_BYTES_A_PIXEL * (len(plan.methods) + 1)
