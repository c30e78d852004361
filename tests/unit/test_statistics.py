"""Statistics on data with known answers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from deblurbench.analysis.statistics import compare, summarise, summary, t_interval
from deblurbench.errors import UsageError
from deblurbench.results.run import Run
from tests import fake_run
from tests.fake_run import Fake, reseal

INF = math.inf


def series(*values: float) -> pd.Series:
    return pd.Series(values, index=[f"{n:06d}" for n in range(len(values))], dtype=float)


def test_interval_equals_scipys_on_clip_means() -> None:
    values = [24.1, 27.9, 25.5, 30.2]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = t_interval(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_interval_covers_the_truth_about_95_times_in_100() -> None:
    """11 clips with a clip effect and resembling frames, true mean 0: the clip is the unit."""
    random = np.random.default_rng(7)
    effects = random.normal(0, 1.5, (600, 11))
    frames = effects[..., None] + np.cumsum(random.normal(0, 0.2, (600, 11, 20)), axis=2)
    intervals = [t_interval(list(clips.mean(axis=1))) for clips in frames]
    assert 0.92 <= np.mean([i.low <= 0 <= i.high for i in intervals]) <= 0.97


def test_no_interval_below_three_clips_and_a_point_for_equal_values() -> None:
    assert t_interval([1.0, 2.0]) is None
    equal = t_interval([0.5, 0.5, 0.5])
    assert (equal.low, equal.high) == (0.5, 0.5)


def test_frame_mean_and_clip_mean_differ_where_clips_have_unequal_lengths() -> None:
    found = summary({"a": series(20, 20, 20, 20), "b": series(30)})
    assert (found.mean, found.clip_mean, found.frames) == (22.0, 25.0, 5)


def test_infinite_values_are_left_out_and_counted() -> None:
    found = summary({"a": series(20, INF), "b": series(INF, INF), "c": series(22, 24)})
    assert (found.mean, found.infinite, found.frames) == (22.0, 3, 3)
    assert found.clip_mean == 21.5  # of a (20) and c (23); b has no finite frame
    assert found.interval is None  # two clips are left


def test_all_infinite_is_infinite() -> None:
    found = summary({"a": series(INF)})
    assert found.mean == INF and found.frames == 0


def test_pairs_use_frames_finite_in_both() -> None:
    one = {"a": series(25, INF, 27), "b": series(30, 31)}
    two = {"a": series(24, 24, INF), "b": series(29, 29)}
    found = compare(one, two, "identity", higher=True)
    assert found.difference == pytest.approx((1 + 1.5) / 2)
    assert (found.wins, found.clips) == (2, 2)


def test_summarise_a_run(tmp_path: Path) -> None:
    rows = {s.method.id: s for s in summarise(fake_run.write(tmp_path))}
    scores = Run.open(tmp_path).scores
    mine = scores[(scores["method"] == "srn:rgb") & (scores["metric"] == "psnr")]
    srn = rows["srn:rgb"]
    assert srn.metrics["psnr"].mean == pytest.approx(mine["value"].mean(), abs=1e-12)
    assert srn.metrics["psnr"].frames == 56


def test_seconds_are_the_median_without_warm_up(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path)
    timings = run.timings[(run.timings["method"] == "ifirnn:C2H3") & ~run.timings["warmup"]]["seconds"]
    found = next(s for s in summarise(run) if s.method.id == "ifirnn:C2H3").seconds
    assert found.frames == 8 * 10
    assert found.median == np.median(timings) and found.p95 == pytest.approx(np.percentile(timings, 95))


@pytest.mark.parametrize(("fake", "state"), [({"failed": {"srn:rgb": "clip-03"}}, "failed"),
                                             ({"pending": {"srn:rgb": "clip-08"}}, "pending")])  # fmt: skip
def test_no_average_over_survivors(tmp_path: Path, fake: dict, state: str) -> None:
    row = next(s for s in summarise(fake_run.write(tmp_path, Fake(**fake))) if s.method.id == "srn:rgb")
    assert row.state == state and row.reason
    assert row.metrics == {} and row.seconds is None


def test_scores_cut_short_are_refused(tmp_path: Path) -> None:
    fake_run.write(tmp_path)
    file = tmp_path / "scores.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-5]) + "\n")
    reseal(tmp_path)
    with pytest.raises(UsageError, match=r"scores\.csv: cut short: srn:rgb on clip-08"):
        summarise(Run.open(tmp_path))
    assert len(Run.open(tmp_path).scores) > 10  # the rest stays readable


@pytest.mark.parametrize(
    ("methods", "keep", "said"),
    [
        ({"identity": 1.0}, lambda rows: rows[: len(rows) // 3], "identity on clip-03 has 5 of 7 values"),
        (None, lambda rows: [row for row in rows if ",ssim," not in row], "values of 'ssim'"),
        (None, lambda rows: [row for row in rows if ",clip-08," not in row], "on clip-08 has 0 of 7"),
        (None, lambda rows: [*rows[:-1], rows[-1].rstrip()[:-2]], "its last line is cut"),
        (None, lambda rows: [*rows, rows[-1]], "has 8 of 7"),
    ],
)
def test_scores_that_lack_what_was_scored_are_refused(tmp_path, methods, keep, said):
    fake_run.write(tmp_path, Fake(methods=methods) if methods else Fake())
    file = tmp_path / "scores.csv"
    head, *rows = file.read_text().splitlines(keepends=True)
    file.write_text("".join([head, *keep(rows)]))
    reseal(tmp_path)
    with pytest.raises(UsageError, match=rf"scores\.csv.*{said}"):
        summarise(Run.open(tmp_path))
