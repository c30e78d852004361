"""Does what a paper claims about variants hold for ours, trained on equal budgets?

A pair of variants is compared over the seeds that both were trained with. The unit is the clip: its value is the
difference of clip means, averaged over the seeds. The interval is Student's t over clips; all pairs that were scored on
the same dataset are tested together, by step-down max-T over joint sign flips of the clips, as in tables.

A claim is decided only where at least two seeds were trained, all of them point the same way, and the adjusted p is
at most 5 %. An interval over clips does not see what another seed of the training would give; with one seed, or where
seeds disagree, the verdict is "undecided".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from deblurbench.analysis.statistics import Paired
from docs.generate.training.stored import Claim, Scored, Trained
from docs.generate.training.tested import compare_together

MIN_SEEDS = 2
FREE = {"summary", "validate_every", "validation_clips", "validation_frames", "save_minutes", "half", "steps"}
"""Keys of a recipe in which trainings on equal budgets may differ."""


@dataclass(frozen=True)
class Finding:
    """One pair of a claim on one dataset. `seeds` and `clips` are the differences by seed and clip."""

    claim: str
    better: str
    than: str
    seeds: dict[int, float] = field(default_factory=dict)
    clips: dict[str, float] = field(default_factory=dict)
    paired: Paired | None = None
    why_not: str = ""

    @property
    def verdict(self) -> str:
        """`holds`, `the reverse holds`, or `undecided` with the reason."""
        if self.paired is None:
            return f"undecided ({self.why_not})"
        if len(self.seeds) < MIN_SEEDS:
            return "undecided (one seed)"
        if self.paired.verdict == "too few clips":
            return "undecided (too few clips)"
        if len({difference > 0 for difference in self.seeds.values()}) > 1:
            return "undecided (seeds disagree)"
        return {"better": "holds", "worse": "the reverse holds"}.get(self.paired.verdict, "undecided")


def findings(claims: Iterable[Claim], trainings: Sequence[Trained], run: Scored, metric: str = "psnr") -> list[Finding]:
    """All pairs of all claims on one run's clips, by a metric of which more is better."""
    found = [
        _compare(claim.claim, better, than, trainings, run, metric) for claim in claims for better, than in claim.pairs
    ]
    differences = {number: f.clips for number, f in enumerate(found) if f.clips}
    decided = compare_together(differences, {number: f.than for number, f in enumerate(found)})
    return [replace(f, paired=decided.get(number)) for number, f in enumerate(found)]


def budget(trained: Trained) -> str:
    """What a training was given: the time asked for, or else its steps."""
    return f"{trained.minutes_asked:g} minutes" if trained.minutes_asked else f"{trained.steps} steps"


def unequal(one: Trained, two: Trained) -> str:
    """Why two trainings do not stand on equal budgets; empty where they do."""
    if budget(one) != budget(two):
        return f"{budget(one)} and {budget(two)}"
    if (one.started_from or {}).get("sha256") != (two.started_from or {}).get("sha256"):
        return "other first weights"
    if one.data != two.data:
        return f"data {one.data} and {two.data}"
    keys = [k for k in {**one.resolved, **two.resolved} if k not in FREE and one.resolved.get(k) != two.resolved.get(k)]
    return f"recipes differ in {', '.join(sorted(keys))}" if keys else ""


def _compare(claim: str, better: str, than: str, trainings: Sequence[Trained], run: Scored, metric: str) -> Finding:
    ours, theirs = (_by_seed(name, trainings, run) for name in (better, than))
    absent = [name for name, found in ((better, ours), (than, theirs)) if not found]
    if absent:
        return Finding(claim, better, than, why_not=f"{' and '.join(absent)} not trained or not scored")
    common = sorted(ours.keys() & theirs.keys())
    reasons = {seed: unequal(ours[seed], theirs[seed]) for seed in common}
    fair = [seed for seed in common if not reasons[seed]]
    if not fair:
        why = next(iter(reasons.values()), "no seed in common")
        return Finding(claim, better, than, why_not=f"budgets are not equal: {why}" if reasons else why)
    by_seed = {s: _differences(run.values[ours[s].name][metric], run.values[theirs[s].name][metric]) for s in fair}
    clips = sorted(set.intersection(*(set(found) for found in by_seed.values())))
    values = {clip: math.fsum(by_seed[s][clip] for s in fair) / len(fair) for clip in clips}
    seeds = {s: math.fsum(by_seed[s][clip] for clip in clips) / len(clips) for s in fair}
    return Finding(claim, better, than, seeds, values)


def _by_seed(name: str, trainings: Sequence[Trained], run: Scored) -> dict[int, Trained]:
    return {t.seed: t for t in trainings if f"{t.method}:{t.variant}" == name and t.name in run.values}


def _differences(one: dict[str, float], two: dict[str, float]) -> dict[str, float]:
    return {clip: one[clip] - two[clip] for clip in one if clip in two}
