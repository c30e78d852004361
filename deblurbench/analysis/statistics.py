"""From scores to statements: means, intervals whose unit is the clip, and paired comparisons.

Conventions, the same in every report:

* The headline is the mean over frames, as in the papers; the mean of clip means stands beside it.
* A 95 % interval is Student's t over clip means. Frames of a clip resemble each other, so intervals over frames are
  several times too narrow; with fewer than three clips there is none.
* A comparison is paired: the differences of clip means over the frames that both methods have a finite value for. All
  pairs of a table's rows are tested together (deblurbench.analysis.pairs); what is not distinguishable is called
  "tied", and intervals of differences hold for all pairs together.
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
from deblurbench.results.manifest import MethodRecord
from deblurbench.results.run import Run

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95
MIN_CLIPS = 3
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

    `wins` counts the clips on which the method is better. `p_adjusted` is the p-value adjusted for all comparisons that
    were tested together (None with fewer than two clips, or where nothing was tested), `verdict` what it says.
    """

    reference: str
    difference: float
    interval: Interval | None
    clips: int
    wins: int
    p_adjusted: float | None = None
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
    seconds: Seconds | None = None


def summarise(run: Run) -> list[MethodSummary]:
    """All methods of a run, in its order.

    Raises:
        UsageError: scores.csv is damaged or lacks frames of a method that finished.
    """
    check_whole(run)
    values = {m.id: _values(run, m.id) for m in run.manifest.methods}
    metrics = [m for m in run.manifest.metrics if not m.absent]
    rows = []
    for method in run.manifest.methods:
        state, reason = run.manifest.state(method.id)
        if state != "ok":
            rows.append(MethodSummary(method, state, reason))
            continue
        summaries = {m.id: summary(values[method.id][m.id]) for m in metrics if m.id in values[method.id]}
        rows.append(MethodSummary(method, state, "", summaries, seconds(run, method.id)))
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


def compare(one: Mapping[str, pd.Series], two: Mapping[str, pd.Series], reference: str, higher: bool) -> Paired | None:
    """Pair a method's values (`one`) with the reference's (`two`), clip by clip, frame by frame.

    Frames where either is infinite are left out. None where no frame is left. Nothing is tested.
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
    return Paired(reference, mean, t_interval(differences), len(differences), wins)


def seconds(run: Run, method: str) -> Seconds | None:
    """Median and 95th percentile of a method's restore times without warm-up frames; None where none is left."""
    times = run.seconds(method)
    if times.empty:
        return None
    return Seconds(float(times.median()), float(times.quantile(0.95)), len(times))


def _values(run: Run, method: str) -> dict[str, ByClip]:
    """Metric -> clip -> values indexed by frame, of the metrics that the method has values of."""
    values = {metric.id: run.values_by_clip(method, metric.id) for metric in run.manifest.metrics}
    return {metric: by_clip for metric, by_clip in values.items() if by_clip}


def check_whole(run: Run) -> None:
    """See that scores.csv holds what run.json says was scored, of every method and clip that ended well.

    Frame-level metrics have a value for every scored frame that is large enough for them; of a clip without ground
    truth, for every frame or none.
    Clip-level ones may be missing where a clip is too short for them, but then for all methods.

    Raises:
        UsageError: values are missing; says which.
    """
    counts: Counter[tuple[str, str, str]] = Counter(
        zip(*(run.scores[column] for column in ("method", "clip", "metric")), strict=True)
    )
    for metric in [metric for metric in run.manifest.metrics if not metric.absent]:
        for clip in run.manifest.clips:
            ended = [o.method for o in run.manifest.outcomes if o.clip == clip.name and o.status == "ok"]
            present = {method: counts[method, clip.name, metric.id] for method in ended}
            if metric.level == "clip":
                expected = max(present.values(), default=0)
            else:
                expected = len(clip.scored) if clip.ground_truth else len(clip.frames) * any(present.values())
                expected *= fits(metric.id, clip.width, clip.height)
            for method, count in present.items():
                if count != expected:
                    raise UsageError(
                        f"{run.folder / 'scores.csv'}: cut short: {method} on {clip.name} has {count} of {expected} "
                        f"values of {metric.id!r}. The same run command writes it anew from parts/."
                    )


def _finite_mean(series: pd.Series) -> float:
    import numpy as np

    values = series.to_numpy(float)
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.inf
