"""Who is best how often, and mean ranks.

Ranks are given clip by clip (1 is best, equal values share the mean of their ranks) from the clips' means, since
frames of a clip are not independent. Ranks ignore how far methods lie apart: they stand beside means and differences,
never in their place. Which methods are distinguishable is not asked of the ranks but of the one test of all pairs
(deblurbench.analysis.pairs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ranked:
    """One method: its mean rank over clips, and on how many clips and frames it is best (equal ones share a win)."""

    method: str
    mean_rank: float
    best_clips: float
    best_frames: float | None


@dataclass(frozen=True)
class Ranking:
    """All methods by one metric, best mean rank first; `frames` is None for a metric of whole clips."""

    metric: str
    methods: tuple[Ranked, ...]
    clips: int
    frames: int | None


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
    ranks = _ranks(by_clip, higher)
    clips, frames = _best(by_clip, higher), _best(by_frame, higher)
    rows = [
        Ranked(name, float(mean), clips[name], frames.get(name))
        for name, mean in zip(by_clip, ranks.mean(axis=0), strict=True)
    ]
    rows.sort(key=lambda row: row.mean_rank)
    count = len(next(iter(by_frame.values()))) if by_frame else None
    return Ranking(metric, tuple(rows), len(ranks), count)


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
