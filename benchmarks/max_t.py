"""Simulates the test of all pairs: the family's error, power beside Holm's correction, coverage of the intervals.

    python -m benchmarks.max_t            # the tables of docs/decisions/0014; takes minutes

Clip means of `methods` methods are normal with a spread of .25 dB that no two methods share; half of the methods are
`effect` dB better than the others. Holm's correction is of exact sign-flip tests over the same pairs.
"""

from __future__ import annotations

import math

import numpy as np

from deblurbench.analysis.max_t import LEVEL, critical_t, sign_flips, statistics, step_down

SPREAD = 0.25  # dB between the clips
CASES = [(clips, methods) for clips in (3, 8, 11) for methods in (3, 11, 20)]


def draw(random: np.random.Generator, clips: int, methods: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    """(clips, pairs) differences of simulated clip means, and the (pairs,) true differences."""
    means = effect * (np.arange(methods) % 2)
    values = random.normal(means, SPREAD, (clips, methods))
    first, second = np.triu_indices(methods, 1)
    return values[:, first] - values[:, second], means[first] - means[second]


def holm(differences: np.ndarray) -> np.ndarray:
    """Adjusted p-values of exact sign-flip tests, each comparison alone and then Holm's correction (Holm 1979)."""
    flipped = statistics(differences, sign_flips(len(differences)))
    p = (flipped >= flipped[:, :1] - 1e-12).mean(axis=1)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def family_error(clips: int, methods: int, rounds: int, seed: int = 1) -> float:
    """In which share of benchmarks of equal methods the test calls any pair different."""
    random = np.random.default_rng(seed)
    return float(np.mean([step_down(draw(random, clips, methods, 0.0)[0]).min() <= LEVEL for _ in range(rounds)]))


def power(clips: int, methods: int, effect: float, rounds: int, seed: int = 2) -> tuple[float, float]:
    """The share of the true differences that the test sees, and that Holm's correction sees."""
    random, ours, holms = np.random.default_rng(seed), [], []
    for _ in range(rounds):
        differences, true = draw(random, clips, methods, effect)
        ours.append((step_down(differences) <= LEVEL)[true != 0].mean())
        holms.append((holm(differences) <= LEVEL)[true != 0].mean())
    return float(np.mean(ours)), float(np.mean(holms))


def power_with_reference(clips: int, methods: int, effect: float, rounds: int, seed: int = 4) -> tuple[float, float]:
    """As `power`, of the differences to the first method; Holm's correction is then over these methods - 1 alone."""
    random, ours, holms = np.random.default_rng(seed), [], []
    for _ in range(rounds):
        differences, true = draw(random, clips, methods, effect)
        reference = np.arange(len(true)) < methods - 1
        ours.append((step_down(differences) <= LEVEL)[reference & (true != 0)].mean())
        holms.append((holm(differences[:, reference]) <= LEVEL)[true[reference] != 0].mean())
    return float(np.mean(ours)), float(np.mean(holms))


def coverage(clips: int, methods: int, effect: float, rounds: int, seed: int = 3) -> float:
    """In which share of benchmarks the simultaneous intervals hold all true differences."""
    random, covered = np.random.default_rng(seed), []
    for _ in range(rounds):
        differences, true = draw(random, clips, methods, effect)
        half = critical_t(differences) * differences.std(axis=0, ddof=1) / math.sqrt(clips)
        covered.append(bool((np.abs(differences.mean(axis=0) - true) <= half).all()))
    return float(np.mean(covered))


def main() -> None:
    """Print the table of the decision."""
    print("| clips | methods | family error | effect | power | Holm's | to one: power | Holm's | coverage |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for clips, methods in CASES:
        error = family_error(clips, methods, 4000 if methods < 20 else 2000)
        for effect in (0.3, 0.5, 1.0):
            ours, holms = power(clips, methods, effect, 200)
            one, holms_one = power_with_reference(clips, methods, effect, 200)
            covers = f"{coverage(clips, methods, effect, 400):.3f}" if clips > 3 else "-"
            powers = f"{ours:.2f} | {holms:.2f} | {one:.2f} | {holms_one:.2f}"
            print(f"| {clips} | {methods} | {error:.3f} | {effect} | {powers} | {covers} |", flush=True)


if __name__ == "__main__":
    main()
