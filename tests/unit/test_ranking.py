"""Ranks, wins and the critical difference on data with known answers, and where they appear."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from deblurbench import tables
from deblurbench.analysis.ranking import critical_difference, rank, too_few
from deblurbench.registry.discovery import plugin
from deblurbench.tables import ranks
from tests import fake_run
from tests.fake_run import Fake

INF = math.inf


def ranking(values: dict[str, list[float]], higher: bool = True, frames: dict[str, list[float]] | None = None):
    return rank("psnr", values, frames or {}, higher)


@pytest.mark.parametrize(("methods", "q"), [(3, 2.343), (4, 2.569), (5, 2.728), (7, 2.949), (10, 3.164)])
def test_the_critical_difference_has_the_published_constants(methods, q):
    """Table 5a of Demšar (2006), alpha = .05."""
    assert critical_difference(methods, 10) == pytest.approx(q * math.sqrt(methods * (methods + 1) / 60), abs=1e-3)


def test_the_example_of_the_paper():
    """Demšar (2006), section 3.2.2: 4 methods on 14 data sets differ where mean ranks differ by 1.25."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.01)


def test_ranks_wins_and_groups_known_answer():
    values = {"a": [30.0] * 6 + [20.0], "b": [25.0] * 6 + [31.0], "c": [24.0] * 7}
    found = ranking(values, frames={"a": [3.0, 1, 2], "b": [3.0, 2, 1], "c": [0.0, 0, 0]})
    assert [m.method for m in found.methods] == ["a", "b", "c"]
    assert [m.mean_rank for m in found.methods] == pytest.approx([9 / 7, 13 / 7, 20 / 7])
    assert [m.best_clips for m in found.methods] == [6, 1, 0]
    assert [m.best_frames for m in found.methods] == [1.5, 1.5, 0]  # a frame with two best ones is shared
    assert found.critical_difference == pytest.approx(1.2528, abs=1e-3)
    assert found.groups == (("a", "b"), ("b", "c"))
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*values.values()).pvalue)


def test_where_lower_is_better_the_order_turns():
    values = {"a": [1.0, 2, 3], "b": [2.0, 3, 4]}
    assert [m.method for m in ranking(values, higher=False).methods] == ["a", "b"]
    assert [m.method for m in ranking(values, higher=True).methods] == ["b", "a"]


def test_equal_and_infinite_values():
    found = ranking({"a": [INF, 20.0], "b": [INF, 20.0], "c": [30.0, 20.0]})
    assert {m.method: m.mean_rank for m in found.methods} == {"a": 1.75, "b": 1.75, "c": 2.5}
    alike = ranking({name: [1.0] * 6 for name in "abc"})
    assert alike.friedman_p == 1.0 and alike.groups == (("a", "b", "c"),)


@pytest.mark.parametrize(("methods", "clips"), [(2, 30), (3, 4), (9, 1)])
def test_with_too_few_methods_or_clips_there_is_no_critical_difference_and_it_says_why(methods, clips):
    found = ranking({str(m): [float(m)] * clips for m in range(methods)})
    assert found.critical_difference is None and found.friedman_p is None and found.groups == ()
    assert f"here are {methods} and {clips}" in ranks.verdict(found)
    assert too_few(3, 5) == ""


@given(st.integers(2, 6), st.integers(1, 9), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_ranks_and_wins_add_up(methods, clips, seed):
    random = np.random.default_rng(seed)
    values = {str(m): random.integers(0, 4, clips).astype(float).tolist() for m in range(methods)}
    found = ranking(values, frames=values)
    assert np.mean([m.mean_rank for m in found.methods]) == pytest.approx((methods + 1) / 2)
    assert sum(m.best_clips for m in found.methods) == pytest.approx(clips)
    assert sum(m.best_frames for m in found.methods) == pytest.approx(clips)


def test_methods_that_are_alike_are_told_apart_in_at_most_5_of_100_cases():
    random, wrong = np.random.default_rng(11), 0
    for _ in range(400):
        table = random.normal(0, 1, (4, 11))
        found = ranking({str(m): row.tolist() for m, row in enumerate(table)})
        wrong += found.groups != (tuple(m.method for m in found.methods),)
    assert wrong / 400 <= 0.08  # 5 %, and three standard errors


def test_every_table_tells_ranks(tmp_path: Path):
    run = fake_run.write(tmp_path)
    table = tables.build([run])
    text = tables.markdown(table)
    assert "| srn:rgb | 1." in text and "of 56)" in text and "Nemenyi" in text
    told = json.loads(tables.as_json(table))["ranks"]
    assert [r["metric"] for r in told] == ["psnr", "ssim"]
    assert told[0]["methods"][-1] == {"method": "identity", "mean_rank": 3.0, "best_clips": 0.0, "best_frames": 0.0}
    files = plugin("reports", "tables").load()(plugin("reports", "tables").card).write([run], tmp_path / "report")
    assert (tmp_path / "report" / "ranks.csv") in files
    lines = (tmp_path / "report" / "ranks.csv").read_text().splitlines()
    assert lines[0] == ",".join(ranks.HEAD) and len(lines) == 7


def test_failed_and_random_methods_are_not_ranked(tmp_path: Path):
    fake = Fake(failed={"srn:rgb": "clip-03"}, method_changes={"ifirnn:C2H3": {"random_weights": True}})
    table = tables.build([fake_run.write(tmp_path, fake)])
    assert ranks.rankings(table) == [] and ranks.markdown(table) == ""


def test_a_method_trained_on_the_dataset_is_marked_among_the_ranks_too(tmp_path: Path):
    run = fake_run.write(tmp_path, Fake(method_changes={"srn:rgb": {"trained_on": ["mini/test/clip-01"]}}))
    assert "| srn:rgb § | 1." in ranks.markdown(tables.build([run]))
    assert "srn:rgb<sup>§</sup>" in page(tmp_path, Fake(method_changes={"srn:rgb": {"trained_on": ["mini"]}})).replace(
        ":<wbr>", ":"
    )


def page(folder: Path, fake: Fake) -> str:
    report = plugin("reports", "gallery")
    report.load()(report.card).write([fake_run.write(folder, fake)], folder / "report")
    return (folder / "report" / "index.html").read_text(encoding="utf-8")


def test_the_page_draws_the_critical_difference_the_same_every_time(tmp_path: Path):
    text = page(tmp_path, Fake())
    assert "Mean rank by psnr of 3 methods over 8 clips" in text and "critical difference 1.17" in text
    assert page(tmp_path, Fake()) == text


def test_the_page_says_why_there_is_no_plot(tmp_path: Path):
    text = page(tmp_path, Fake(clips=("one", "two")))
    assert "no critical difference: it needs at least 3 methods and 5 clips, here are 3 and 2" in text
    assert "Mean rank by psnr" not in text
    assert 'id="ranks"' not in page(tmp_path / "alone", Fake(methods={"identity": 1.0}))
