"""One test for many comparisons: Westfall and Young's step-down max-T over joint sign flips.

Each comparison has one difference a clip. If two methods do equally well, a clip's difference is as likely to have the
other sign; so all comparisons' differences of a clip change sign together, and the largest statistic over the
comparisons is compared with its distribution over all 2**n such flips of n clips (P. H. Westfall and S. S. Young,
Resampling-Based Multiple Testing, Wiley 1993, algorithm 4.1). The error of the whole family stays at the level however
many comparisons there are and however they depend on each other, and the smallest p is 2 / 2**n for any number of
comparisons.
"""

from __future__ import annotations

import math

import numpy as np

LEVEL = 0.05
EXACT_CLIPS = 16
SMALLEST_SQUARE = 1e-24  # below this the differences of a comparison are rounding errors of equal values
TOLERANCE = 1e-12  # statistics lie in [0, 1]; equal ones differ by rounding

Array = np.ndarray


def smallest_p(clips: int) -> float:
    """The smallest two-sided p that `clips` clips can give, whatever the differences: 2 / 2**clips."""
    return min(1.0, 2.0 ** (1 - clips))


CLIPS_NEEDED = next(clips for clips in range(1, 64) if smallest_p(clips) <= LEVEL)


def sign_flips(clips: int) -> Array:
    """(patterns, clips) of +1 and -1, the first row without a flip.

    All patterns up to 16 clips, but one of each pair of opposite ones, whose statistics are equal; of more clips
    32,768 random ones with a fixed seed.
    """
    half = 2 ** (min(clips, EXACT_CLIPS) - 1)
    if clips <= EXACT_CLIPS:
        bits = np.arange(half)[:, None] >> np.arange(clips)[None, :] & 1
        return 1.0 - 2.0 * bits
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (half, clips))
    signs[0] = 1
    return signs


def statistics(differences: Array, signs: Array) -> Array:
    """(comparisons, patterns) of |sum of the flipped differences| over its largest possible value, in [0, 1].

    The statistic r is a monotone function of Student's t of the differences, t = r sqrt(n - 1) / sqrt(1 - r**2), and
    stays finite where all differences are equal.
    """
    lengths = np.sqrt((differences**2).sum(axis=0) * len(differences))
    units = np.divide(differences, lengths, out=np.zeros_like(differences), where=lengths > math.sqrt(SMALLEST_SQUARE))
    return np.minimum(np.abs(units.T @ signs.T), 1.0)


def step_down(differences: Array) -> Array:
    """Adjusted two-sided p-values of (clips, comparisons) differences, for the hypotheses that their centres are 0.

    A hypothesis is rejected at level a where its value is <= a; the chance of any wrong rejection is then at most a.
    """
    signs = sign_flips(len(differences))
    flipped = statistics(differences, signs)
    order = np.argsort(flipped[:, 0], kind="stable")  # the smallest statistic first: it is rejected last
    largest = np.maximum.accumulate(flipped[order], axis=0)  # over the hypotheses not yet rejected
    p = (largest >= largest[:, :1] - TOLERANCE).mean(axis=1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(p[::-1])[::-1]
    return adjusted


def critical_t(differences: Array) -> float:
    """How many standard errors a simultaneous 95 % interval extends to each side, for all comparisons alike.

    The 95 % point of the largest |t| over the comparisons and over the flips of the residuals; and no less than that of
    the flipped differences themselves, so that no interval leaves out 0 where the test sees no difference. Infinite
    with fewer clips than the test needs.
    """
    if len(differences) < CLIPS_NEEDED:
        return math.inf
    signs = sign_flips(len(differences))
    allowed = math.floor(LEVEL * len(signs) + TOLERANCE)
    points = [
        np.sort(statistics(values, signs).max(axis=0))[::-1][allowed]
        for values in (differences, differences - differences.mean(axis=0))
    ]
    r = float(max(points))
    return r * math.sqrt((len(differences) - 1) / (1 - r**2)) if r < 1 - TOLERANCE else math.inf
