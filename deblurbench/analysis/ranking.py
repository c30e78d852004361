"""Who is best how often, and mean ranks with Nemenyi's critical difference (Demšar, JMLR 7, 2006).

Ranks are given clip by clip (1 is best, equal values share the mean of their ranks) from the clips' means, since
frames of a clip are not independent. Two methods whose mean ranks differ by less than the critical difference cannot be
told apart at 5 %. Ranks ignore how far methods lie apart: they stand beside means and paired differences, never in
their place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MIN_METHODS, MIN_CLIPS = 3, 5
LEVEL = 0.05


@dataclass(frozen=True)
class Ranked:
    """One method: its mean rank over clips, and on how many clips and frames it is best (equal ones share a win)."""

    method: str
    mean_rank: float
    best_clips: float
    best_frames: float | None


@dataclass(frozen=True)
class Ranking:
    """All methods by one metric, best mean rank first.

    `frames` is None for a metric of whole clips. `critical_difference` and `friedman_p` are None where methods or clips
    are too few, and `why_not` then says so. `groups` are the largest sets of methods that cannot be told apart.
    """

    metric: str
    methods: tuple[Ranked, ...]
    clips: int
    frames: int | None
    critical_difference: float | None
    friedman_p: float | None
    why_not: str
    groups: tuple[tuple[str, ...], ...]


def rank(
    metric: str, by_clip: Mapping[str, Sequence[float]], by_frame: Mapping[str, Sequence[float]], higher: bool
) -> Ranking:
    """Rank at least two methods by one metric.

    Args:
        metric: the metric's id.
        by_clip: method -> mean of each clip, the same clips in the same order; inf possible, NaN never.
        by_frame: method -> value of each frame likewise; empty for a metric of whole clips.
        higher: whether a higher value is better.
    """
    names = list(by_clip)
    ranks = _ranks(by_clip, higher)
    clips, frames = _best(by_clip, higher), _best(by_frame, higher)
    rows = [
        Ranked(name, float(mean), clips[name], frames.get(name))
        for name, mean in zip(names, ranks.mean(axis=0), strict=True)
    ]
    rows.sort(key=lambda row: row.mean_rank)
    why_not = too_few(len(names), len(ranks))
    difference = None if why_not else critical_difference(len(names), len(ranks))
    return Ranking(
        metric, tuple(rows), len(ranks), len(next(iter(by_frame.values()))) if by_frame else None, difference,
        None if why_not else _friedman(ranks), why_not, _groups(rows, difference),
    )  # fmt: skip


def too_few(methods: int, clips: int) -> str:
    """Why there is no critical difference; empty where there is one."""
    if methods >= MIN_METHODS and clips >= MIN_CLIPS:
        return ""
    return (
        f"no critical difference: it needs at least {MIN_METHODS} methods and {MIN_CLIPS} clips, "
        f"here are {methods} and {clips}"
    )


def critical_difference(methods: int, clips: int) -> float:
    """Nemenyi's critical difference of mean ranks at 5 %: q sqrt(k (k + 1) / (6 n)).

    q is the studentized range's 95 % point for k methods and infinite degrees of freedom, over sqrt(2).
    """
    from scipy import stats

    q = float(stats.studentized_range.ppf(1 - LEVEL, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * clips))


def _ranks(values: Mapping[str, Sequence[float]], higher: bool) -> np.ndarray:
    """(clips, methods) ranks, 1 is best."""
    from scipy import stats

    table = np.array(list(values.values()), float).T
    return np.asarray(stats.rankdata(-table if higher else table, axis=1))


def _best(values: Mapping[str, Sequence[float]], higher: bool) -> dict[str, float]:
    """How often each method has the best value; where several have it, each takes its share."""
    if not values:
        return {}
    table = np.array(list(values.values()), float).T
    best = table.max(axis=1, keepdims=True) if higher else table.min(axis=1, keepdims=True)
    hits = table == best
    shares = (hits / hits.sum(axis=1, keepdims=True)).sum(axis=0)
    return {name: float(share) for name, share in zip(values, shares, strict=True)}


def _friedman(ranks: np.ndarray) -> float:
    """P-value of Friedman's test that all methods rank alike; 1 where every clip ranks all of them equal."""
    from scipy import stats

    if (ranks == ranks[:, :1]).all():
        return 1.0
    return float(stats.friedmanchisquare(*ranks.T).pvalue)


def _groups(rows: Sequence[Ranked], difference: float | None) -> tuple[tuple[str, ...], ...]:
    """The largest runs of neighbouring methods whose ranks all lie within the critical difference."""
    if difference is None:
        return ()
    found: list[tuple[int, int]] = []
    for first in range(len(rows)):
        last = max(i for i, row in enumerate(rows) if row.mean_rank - rows[first].mean_rank < difference)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return tuple(tuple(row.method for row in rows[first : last + 1]) for first, last in found)
