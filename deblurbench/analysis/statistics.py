"""From scores to statements: means, intervals whose unit is the clip, and paired comparisons.

Conventions, the same in every report:

* The headline is the mean over frames, as in the papers; the mean of clip means stands beside it.
* A 95 % interval is Student's t over clip means. Frames of a clip resemble each other, so intervals over frames are
  several times too narrow; with fewer than three clips there is none.
* A comparison is paired: the differences of clip means over the frames that both methods have a finite value for,
  a sign-flip test (exact up to 16 clips: the smallest two-sided p with n clips is 2 / 2**n), and Holm's correction over
  all methods that are compared with the same reference. What is not distinguishable is called "tied".
* Infinite values (a frame identical to the ground truth) are left out of means and counted.
* A method with a failed or unfinished clip has no mean: an average over survivors would flatter it.
* Seconds per frame are the median of the frames that were not warm-up, with the 95th percentile beside it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from deblurbench.errors import UsageError
from deblurbench.metrics import fits
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.manifest import MethodRecord, MetricRecord
from deblurbench.results.run import Run

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95
MIN_CLIPS = 3
EXACT_CLIPS = 16
Verdict = Literal["better", "worse", "tied", "too few clips"]
ByClip = dict[str, "pd.Series"]
Key = TypeVar("Key", str, int)


@dataclass(frozen=True)
class Interval:
    """A two-sided 95 % confidence interval, in the metric's unit."""

    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """One metric of one method over a run.

    `mean` is over finite frames (inf where all are infinite), `clip_mean` the mean of `by_clip`, `frames` the number of
    finite values, `infinite` the number left out. For a clip-level metric a clip counts as one value.
    """

    mean: float
    clip_mean: float
    frames: int
    infinite: int
    by_clip: dict[str, float]
    interval: Interval | None


@dataclass(frozen=True)
class Paired:
    """A method against a reference on the same frames; `difference` is method minus reference, mean over clips.

    `p` is the sign-flip p-value (exact up to 16 clips, None with fewer than two), `p_holm` the same after Holm's
    correction; `wins` counts the clips on which the method is better.
    """

    reference: str
    difference: float
    interval: Interval | None
    clips: int
    wins: int
    p: float | None
    p_holm: float | None = None
    verdict: Verdict = "too few clips"


@dataclass(frozen=True)
class Seconds:
    """Restore time per frame: median and 95th percentile in seconds, over `frames` that were not warm-up."""

    median: float
    p95: float
    frames: int


@dataclass(frozen=True)
class MethodSummary:
    """What a run says about one method. Where `state` is not "ok", there are no means and `reason` says why."""

    method: MethodRecord
    state: str
    reason: str
    metrics: dict[str, Summary] = field(default_factory=dict)
    paired: dict[str, Paired] = field(default_factory=dict)
    seconds: Seconds | None = None


def summarise(run: Run, reference: str = IDENTITY) -> list[MethodSummary]:
    """All methods of a run, in its order, each compared with `reference` where both are complete.

    Holm's correction is over this run; `deblurbench.tables.build` does it anew over all rows of a table.

    Raises:
        UsageError: scores.csv is damaged or lacks frames of a method that finished.
    """
    check_whole(run)
    values = {m.id: _values(run, m.id) for m in run.manifest.methods}
    metrics = [m for m in run.manifest.metrics if not m.absent]
    complete = {m.id for m in run.manifest.methods if run.manifest.state(m.id)[0] == "ok"}
    pairs = {m.id: _compare_all(m, values, complete, reference) for m in metrics}
    rows = []
    for method in run.manifest.methods:
        state, reason = run.manifest.state(method.id)
        if state != "ok":
            rows.append(MethodSummary(method, state, reason))
            continue
        found = {m.id: summary(values[method.id][m.id]) for m in metrics if m.id in values[method.id]}
        paired = {m.id: pairs[m.id][method.id] for m in metrics if method.id in pairs[m.id]}
        rows.append(MethodSummary(method, state, "", found, paired, seconds(run, method.id)))
    return rows


def clip_means(run: Run, method: str, metric: str) -> dict[str, float]:
    """Mean over the finite frames of each clip that has scores, also for a method that failed elsewhere."""
    return {clip: _finite_mean(series) for clip, series in run.values_by_clip(method, metric).items()}


def summary(by_clip: Mapping[str, pd.Series]) -> Summary:
    """Summarise one metric from its values by clip (float64, inf possible, NaN never)."""
    import numpy as np

    everything = np.concatenate([series.to_numpy(float) for series in by_clip.values()])
    finite = everything[np.isfinite(everything)]
    infinite = len(everything) - len(finite)
    if not len(finite):
        return Summary(math.inf, math.inf, 0, infinite, dict.fromkeys(by_clip, math.inf), None)
    means = {clip: _finite_mean(series) for clip, series in by_clip.items()}
    usable = [value for value in means.values() if math.isfinite(value)]
    return Summary(float(finite.mean()), float(np.mean(usable)), len(finite), infinite, means, t_interval(usable))


def t_interval(values: Sequence[float]) -> Interval | None:
    """95 % interval of the mean of independent values, by Student's t; None with fewer than three values."""
    from scipy import stats

    count = len(values)
    if count < MIN_CLIPS:
        return None
    mean = math.fsum(values) / count
    error = float(stats.sem(values))
    if not error > 0:
        return Interval(mean, mean)
    low, high = stats.t.interval(CONFIDENCE, count - 1, loc=mean, scale=error)
    return Interval(float(low), float(high))


def sign_flip(differences: Sequence[float]) -> float | None:
    """Two-sided sign-flip (paired permutation) p-value of the mean difference; None with fewer than two values.

    Exact up to 16 values (all 2**n signs); above that 65,536 random sign patterns with a fixed seed.
    """
    import numpy as np
    from scipy import stats

    values = np.asarray(differences, float)
    if len(values) < 2:
        return None
    if not values.any():
        return 1.0
    result = stats.permutation_test(
        (values, np.zeros_like(values)),
        lambda one, two, axis: np.mean(one - two, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**EXACT_CLIPS,
        random_state=np.random.default_rng(0),
    )
    return float(result.pvalue)


def holm(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979, Scandinavian Journal of Statistics 6).

    `family` is the number of hypotheses where there are more than the p-values given: the others count as not rejected.
    """
    family = len(p_values) if family is None else family
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, position in enumerate(order):
        highest = max(highest, min(1.0, (family - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted


def compare(one: Mapping[str, pd.Series], two: Mapping[str, pd.Series], reference: str, higher: bool) -> Paired | None:
    """Pair a method's values (`one`) with the reference's (`two`), clip by clip, frame by frame.

    Frames where either is infinite are left out. None where no frame is left. `p_holm` and `verdict` stay unset.
    """
    import numpy as np

    differences = []
    for clip in [clip for clip in one if clip in two]:
        frames = one[clip].index.intersection(two[clip].index)
        a, b = one[clip].loc[frames].to_numpy(float), two[clip].loc[frames].to_numpy(float)
        both = np.isfinite(a) & np.isfinite(b)
        if both.any():
            differences.append(float(np.mean(a[both] - b[both])))
    if not differences:
        return None
    wins = sum((d > 0) if higher else (d < 0) for d in differences)
    mean = math.fsum(differences) / len(differences)
    return Paired(reference, mean, t_interval(differences), len(differences), wins, sign_flip(differences))


def decide(paired: Paired, p_holm: float | None, family: int, higher: bool) -> Paired:
    """Fill in Holm's p and the verdict, for a family of `family` comparisons with the same reference.

    "too few clips" where even the clearest outcome could not reach 5 % (2 / 2**n times the family).
    """
    verdict: Verdict
    if p_holm is None or family * 2.0 ** (1 - paired.clips) > 1 - CONFIDENCE:
        verdict = "too few clips"
    elif p_holm > 1 - CONFIDENCE:
        verdict = "tied"
    else:
        verdict = "better" if (paired.difference > 0) == higher else "worse"
    return Paired(**{**vars(paired), "p_holm": p_holm, "verdict": verdict})


def correct(found: Mapping[Key, Paired], higher: bool, chosen: bool = False) -> dict[Key, Paired]:
    """Fill in Holm's p and the verdicts of all comparisons with one reference by one metric.

    `chosen` says that the same values chose the reference, so that all pairs count as tested.
    """
    tested = [key for key, paired in found.items() if paired.p is not None]
    family = len(tested) * (len(tested) + 1) // 2 if chosen else len(tested)
    adjusted = dict(zip(tested, holm([found[key].p or 0.0 for key in tested], family), strict=True))
    return {key: decide(paired, adjusted.get(key), max(1, family), higher) for key, paired in found.items()}


def compare_rows(
    rows: Mapping[str, tuple[Run, str]], metrics: Sequence[MetricRecord], references: Mapping[str, str]
) -> dict[str, dict[str, Paired]]:
    """Compare rows of one or several runs under the same protocol: metric id -> label -> comparison.

    `rows` maps labels to (run, method id) of methods that finished; `references` names, by metric id, the row that the
    others are compared with: one that the same scores chose, the best. Any pair could have become the one tested, so
    that Holm's correction is over all pairs of a metric's k rows, k (k - 1) / 2, of which the k - 1 tested ones are
    taken for the smallest. (With k - 1 alone, ten equal methods would be told apart in 12 % of benchmarks, not 5.)
    """
    values = {label: _values(run, method) for label, (run, method) in rows.items()}
    wanted = [metric for metric in metrics if metric.id in references]
    return {metric.id: _compare_all(metric, values, set(values), references[metric.id], True) for metric in wanted}


def seconds(run: Run, method: str) -> Seconds | None:
    """Median and 95th percentile of a method's restore times without warm-up frames; None where none is left."""
    times = run.seconds(method)
    if times.empty:
        return None
    return Seconds(float(times.median()), float(times.quantile(0.95)), len(times))


def _compare_all(
    metric: MetricRecord,
    values: Mapping[str, Mapping[str, ByClip]],
    complete: set[str],
    reference: str,
    chosen: bool = False,
) -> dict[str, Paired]:
    """Compare all with a reference; `chosen` says that the same values chose it, so that all pairs count as tested."""
    base = values.get(reference, {}).get(metric.id)
    if base is None or reference not in complete:
        return {}
    found = {}
    for method in [m for m in values if m in complete and m != reference and metric.id in values[m]]:
        paired = compare(values[method][metric.id], base, reference, metric.higher_is_better)
        if paired:
            found[method] = paired
    return correct(found, metric.higher_is_better, chosen)


def _values(run: Run, method: str) -> dict[str, ByClip]:
    """Metric -> clip -> values indexed by frame, of the metrics that the method has values of."""
    found = {metric.id: run.values_by_clip(method, metric.id) for metric in run.manifest.metrics}
    return {metric: by_clip for metric, by_clip in found.items() if by_clip}


def check_whole(run: Run) -> None:
    """See that scores.csv holds what run.json says was scored, of every method and clip that ended well.

    Frame-level metrics have a value for every scored frame that is large enough for them; of a clip without ground
    truth, for every frame or none.
    Clip-level ones may be missing where a clip is too short for them, but then for all methods.

    Raises:
        UsageError: values are missing; says which.
    """
    there: Counter[tuple[str, str, str]] = Counter(
        zip(*(run.scores[column] for column in ("method", "clip", "metric")), strict=True)
    )
    for metric in [metric for metric in run.manifest.metrics if not metric.absent]:
        for clip in run.manifest.clips:
            ended = [o.method for o in run.manifest.outcomes if o.clip == clip.name and o.status == "ok"]
            found = {method: there[method, clip.name, metric.id] for method in ended}
            if metric.level == "clip":
                wanted = max(found.values(), default=0)
            else:
                wanted = len(clip.scored) if clip.ground_truth else len(clip.frames) * any(found.values())
                wanted *= fits(metric.id, clip.width, clip.height)
            for method, count in found.items():
                if count != wanted:
                    raise UsageError(
                        f"{run.folder / 'scores.csv'}: cut short: {method} on {clip.name} has {count} of {wanted} "
                        f"values of {metric.id!r}. The same run command writes it anew from parts/."
                    )


def _finite_mean(series: pd.Series) -> float:
    import numpy as np

    values = series.to_numpy(float)
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.inf
