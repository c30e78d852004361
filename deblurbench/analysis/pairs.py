"""All pairs of a table's rows by one metric, tested together (deblurbench.analysis.max_t).

Everything that a page says about differences comes from here: the column of differences, the verdict in words, the
groups of the ranking. So no two places can disagree on what is distinguishable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deblurbench.analysis.max_t import CLIPS_NEEDED, LEVEL, critical_t, step_down
from deblurbench.analysis.statistics import Interval, Paired, Verdict
from deblurbench.text import counted

if TYPE_CHECKING:
    import pandas as pd

ByClip = Mapping[str, "pd.Series"]


@dataclass(frozen=True)
class Pairs:
    """The pairs of rows `labels[first[i]]`, `labels[second[i]]`, first minus second.

    Attributes:
        labels: the rows.
        clips: the clips on which every pair of rows has a frame with two finite values.
        higher: whether a higher value is better.
        first, second: (pairs,) positions in `labels`.
        differences: (clips, pairs) means over the frames that are finite in both, in the metric's unit.
        p: (pairs,) adjusted p-values of the one test.
        reach: half the width of a simultaneous interval in standard errors; infinite where there is none.
    """

    labels: tuple[str, ...]
    clips: tuple[str, ...]
    higher: bool
    first: np.ndarray
    second: np.ndarray
    differences: np.ndarray
    p: np.ndarray
    reach: float

    @property
    def enough(self) -> bool:
        """Whether the clips are enough for the test to see any difference."""
        return len(self.clips) >= CLIPS_NEEDED

    def distinct(self, one: str, two: str) -> bool:
        """Whether the test distinguishes two rows."""
        return bool(self.p[self._position(one, two)[0]] <= LEVEL)

    def compare(self, label: str, reference: str) -> Paired | None:
        """One row against another; None where no clip is left to compare them on."""
        if not self.clips:
            return None
        position, sign = self._position(label, reference)
        values = sign * self.differences[:, position]
        mean, p = float(values.mean()), float(self.p[position])
        wins = int(((values > 0) if self.higher else (values < 0)).sum())
        verdict: Verdict = "too few clips"
        if self.enough:
            verdict = "tied" if p > LEVEL else "better" if (mean > 0) == self.higher else "worse"
        interval = self._interval(values, mean, p <= LEVEL)
        return Paired(reference, mean, interval, len(self.clips), wins, p if len(self.clips) > 1 else None, verdict)

    def groups(self, order: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """The largest sets of rows none of which are distinct, each of two or more, in the order given.

        By insert and absorb (Piepho, J. Comput. Graph. Stat. 13, 2004); none where the clips are too few.
        """
        groups = [frozenset(order)] if self.enough else []
        for number, one in enumerate(order):
            for two in [other for other in order[number + 1 :] if self.distinct(one, other)]:
                split = [g - {x} for g in groups if {one, two} <= g for x in (one, two)]
                groups = _absorb([g for g in groups if not {one, two} <= g] + split)
        place = {label: number for number, label in enumerate(order)}
        listed = [tuple(sorted(group, key=place.__getitem__)) for group in groups if len(group) > 1]
        return tuple(sorted(listed, key=lambda group: [place[label] for label in group]))

    def _position(self, one: str, two: str) -> tuple[int, int]:
        """Where the pair stands, and the sign that makes its differences `one` minus `two`."""
        i, j = self.labels.index(one), self.labels.index(two)
        low, high = min(i, j), max(i, j)
        return int(low * (2 * len(self.labels) - low - 1) / 2 + high - low - 1), 1 if i < j else -1

    def _interval(self, values: np.ndarray, mean: float, distinct: bool) -> Interval | None:
        """Simultaneous over all pairs; ends at 0 where the step-down test sees a difference that it alone would not."""
        if not math.isfinite(self.reach):
            return None
        half = self.reach * float(values.std(ddof=1)) / math.sqrt(len(values))
        low, high = mean - half, mean + half
        if not distinct:
            return Interval(min(low, 0.0), max(high, 0.0))  # the same limit as the test's, but for rounding
        return Interval(max(low, 0.0), high) if mean > 0 else Interval(low, min(high, 0.0))


def shortage(clips: int) -> str:
    """That there are too few clips for the test, and how many would do."""
    return f"{counted(clips, 'clip')} {'is' if clips == 1 else 'are'} too few for a test, {CLIPS_NEEDED} would do"


def _absorb(groups: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """The groups that are within no other."""
    unique = list(dict.fromkeys(groups))
    return [group for group in unique if not any(group < other for other in unique)]


def all_pairs(rows: Mapping[str, ByClip], higher: bool) -> Pairs:
    """Test all pairs of rows.

    Args:
        rows: label -> clip -> values by frame, as `Run.values_by_clip` gives them; at least one row.
        higher: whether a higher value is better.
    """
    labels = tuple(rows)
    first, second = np.triu_indices(len(labels), 1)
    per_clip: dict[str, np.ndarray] = {}
    for clip in [clip for clip in rows[labels[0]] if all(clip in by_clip for by_clip in rows.values())]:
        difference = _differences([by_clip[clip] for by_clip in rows.values()], first, second)
        if np.isfinite(difference).all():
            per_clip[clip] = difference
    differences = np.array(list(per_clip.values())).reshape(len(per_clip), len(first))
    p = step_down(differences) if len(per_clip) and len(first) else np.ones(len(first))
    reach = critical_t(differences) if len(first) else math.inf
    return Pairs(labels, tuple(per_clip), higher, first, second, differences, p, reach)


def _differences(rows: Sequence[pd.Series], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(pairs,) means of the differences over the frames that are finite in both; NaN where there is no such frame."""
    frames = rows[0].index
    if not all(row.index.equals(frames) for row in rows):
        frames = frames.append([row.index for row in rows[1:]]).unique()
        rows = [row.reindex(frames) for row in rows]
    values = np.array([row.to_numpy(float) for row in rows])
    values[~np.isfinite(values)] = np.nan
    pairs = values[first] - values[second]
    finite = np.isfinite(pairs)
    counts = finite.sum(axis=1)
    sums = np.where(finite, pairs, 0.0).sum(axis=1)
    return np.divide(sums, counts, out=np.full(len(first), np.nan), where=counts > 0)
