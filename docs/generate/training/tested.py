"""Several comparisons over the clips of one run, tested together as the tables do it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from deblurbench.analysis.max_t import CLIPS_NEEDED, LEVEL, step_down
from deblurbench.analysis.statistics import Paired, Verdict, t_interval

Key = TypeVar("Key", bound=Hashable)


def compare_together(
    differences: Mapping[Key, Mapping[str, float]], references: Mapping[Key, str]
) -> dict[Key, Paired]:
    """Each comparison with its p, adjusted for all of them, its verdict, and a 95 % interval of this mean alone.

    Args:
        differences: comparison -> clip -> difference in a metric of which more is better; at least one clip each. A
            clip that a comparison lacks counts there as no difference.
        references: comparison -> the name that it is compared with.
    """
    clips = list(dict.fromkeys(clip for by_clip in differences.values() for clip in by_clip))
    matrix = np.array([[by_clip.get(clip, 0.0) for by_clip in differences.values()] for clip in clips])
    p = step_down(matrix) if differences else []
    return {
        key: _paired(list(differences[key].values()), references[key], float(value))
        for key, value in zip(differences, p, strict=True)
    }


def _paired(values: list[float], reference: str, p: float) -> Paired:
    mean = math.fsum(values) / len(values)
    verdict: Verdict = "too few clips"
    if len(values) >= CLIPS_NEEDED:
        verdict = "tied" if p > LEVEL else "better" if mean > 0 else "worse"
    wins = sum(value > 0 for value in values)
    return Paired(reference, mean, t_interval(values), len(values), wins, p if len(values) > 1 else None, verdict)
