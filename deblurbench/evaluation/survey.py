"""What of a plan is done, stale or missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deblurbench.datasets.selection import PlannedClip
from deblurbench.errors import DamagedError, MissingError
from deblurbench.evaluation.plan import Plan, PlannedMethod
from deblurbench.metrics import metric
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.store import GROUND_TRUTH, Part, Store
from deblurbench.text import some

DAMAGED = "damaged record"
"""Why a clip is done again whose part cannot be read; `--dry-run` leaves the file as it is, a run keeps it aside."""
OLD_KEY = "harness"
"""In the keys of parts that were held to the bytes of the package's sources, before results had a version."""
UNVERSIONED = "stored by an earlier deblurbench, whose results have no version to compare"


@dataclass
class Work:
    """What is to be done, and why: state is `new`, `cached`, `stale`, `retry` or `problem`."""

    method: PlannedMethod
    clip: PlannedClip
    state: str
    key: dict[str, Any]
    why: str = ""
    part: Part | None = None


def survey(plan: Plan, store: Store) -> list[Work]:
    """Compare what is asked with what is stored, method by method and clip by clip; nothing is written."""
    computable = _metrics_that_came(store) - {m.id for m in plan.metrics if m.absent}
    return [_survey_one(plan, store, method, clip, computable) for method in plan.methods for clip in plan.clips]


def _metrics_that_came(store: Store) -> set[str]:
    """Metrics that could not be computed when the run was made, and can be now."""
    with contextlib.suppress(DamagedError, MissingError):
        if (store.folder / "run.json").is_file():
            return {m.id for m in store.read_manifest().metrics if m.absent and metric(m.id).is_here()}
    return set()


def _survey_one(plan: Plan, store: Store, method: PlannedMethod, clip: PlannedClip, computable: set[str]) -> Work:
    key = plan.key(method, clip)
    if clip.problems:
        return Work(method, clip, "problem", key, "; ".join(clip.problems))
    try:
        part = store.look_at_part(method.id, clip.clip.name)
    except DamagedError:
        return Work(method, clip, "stale", key, DAMAGED)
    if part is None:
        return Work(method, clip, "new", key)
    changed = sorted(name for name in key.keys() | part.key.keys() if key.get(name) != part.key.get(name))
    if OLD_KEY in part.key:
        return Work(method, clip, "stale", key, UNVERSIONED)
    if changed:
        return Work(method, clip, "stale", key, f"changed since: {', '.join(changed)}")
    if part.outcome.status != "ok":
        return Work(method, clip, "retry", key, f"failed before: {part.outcome.reason[:100]}")
    lacking = {name for name in computable if metric(name).fits(clip.size)} - {name for _, name, _ in part.scores}
    if lacking and clip.clip.sharp is not None:
        return Work(method, clip, "stale", key, f"can be computed now: {', '.join(sorted(lacking))}")
    missing = [file for file in _saved_files(store, part, clip) if not file.is_file()]
    if missing:
        return Work(method, clip, "stale", key, f"{len(missing)} saved frames were deleted")
    return Work(method, clip, "cached", key, part=part)


def lines_of_stale(works: Iterable[Work]) -> list[str]:
    """What a run says of the results that it computes again: one line for each reason."""
    reasons: dict[str, list[str]] = {}
    for work in works:
        if work.state == "stale":
            reasons.setdefault(work.why, []).append(f"{work.method.id} on {work.clip.clip.name}")
    return [f"{some(names)} {'is' if len(names) == 1 else 'are'} done again ({why})" for why, names in reasons.items()]


def _saved_files(store: Store, part: Part, clip: PlannedClip) -> list[Path]:
    """The PNGs that a part says are there: `identity` keeps those of the ground truth, too."""
    names = [part.outcome.method]
    if names == [IDENTITY] and clip.clip.sharp is not None:
        names.append(GROUND_TRUTH)
    return [store.frames_folder(name, clip.clip.name) / f"{stem}.png" for name in names for stem in part.saved]
