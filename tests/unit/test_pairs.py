"""The one test of all pairs: known answers, its error and power by simulation, intervals and groups."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import max_t as simulation
from deblurbench import tables
from deblurbench.analysis import max_t
from deblurbench.analysis.pairs import all_pairs
from tests import fake_run
from tests.fake_run import Fake

INF = math.inf


def rows_of(values: dict[str, list[float]]) -> dict[str, dict[str, pd.Series]]:
    """Rows with one frame a clip."""
    return {
        label: {f"clip-{n}": pd.Series([value], index=["000001"]) for n, value in enumerate(numbers)}
        for label, numbers in values.items()
    }


def enumerated(differences: np.ndarray) -> list[float]:
    """Adjusted p-values by the definition: Student's t, all flips, one hypothesis after the other."""
    count = len(differences)

    def t(values: np.ndarray) -> np.ndarray:
        return np.abs(values.mean(axis=0)) / values.std(axis=0, ddof=1) * math.sqrt(count)

    observed = t(differences)
    flipped = [t(differences * np.array(signs)[:, None]) for signs in product((1, -1), repeat=count)]
    adjusted, highest = [0.0] * len(observed), 0.0
    left = sorted(range(len(observed)), key=lambda j: -observed[j])
    while left:
        p = np.mean([one[left].max() >= observed[left[0]] * (1 - 1e-9) for one in flipped])
        highest = max(highest, float(p))
        adjusted[left.pop(0)] = highest
    return adjusted


@pytest.mark.parametrize("seed", range(5))
def test_step_down_equals_enumeration(seed):
    differences = np.random.default_rng(seed).normal([0, 0.5, 2, -1], 1, (7, 4))
    assert max_t.step_down(differences) == pytest.approx(enumerated(differences))


@pytest.mark.parametrize("methods", [2, 11, 20])
def test_the_smallest_p_does_not_depend_on_the_number_of_methods(methods):
    random = np.random.default_rng(1)
    values = {f"m{m}": list(10 * m + random.normal(0, 0.1, 8)) for m in range(methods)}
    assert set(all_pairs(rows_of(values), True).p) == {2 / 2**8} == {max_t.smallest_p(8)}


def test_how_many_clips_a_test_needs():
    assert max_t.CLIPS_NEEDED == 6 and max_t.smallest_p(5) > 0.05 >= max_t.smallest_p(6)
    assert max_t.smallest_p(11) == pytest.approx(0.00098, abs=1e-5)


def test_flips_are_all_up_to_16_clips_and_sampled_above():
    flips = max_t.sign_flips(5)
    assert len({tuple(row) for row in flips}) == 16 and (flips[0] == 1).all()
    assert not {tuple(row) for row in flips} & {tuple(row) for row in -flips}
    many = max_t.sign_flips(30)
    assert many.shape == (2**15, 30) and (many[0] == 1).all() and (many == max_t.sign_flips(30)).all()


def test_equal_methods_and_constant_differences():
    pairs = all_pairs(rows_of({"a": [1.0, 2, 3, 4, 5, 6], "b": [1.0, 2, 3, 4, 5, 6], "c": [2.0, 3, 4, 5, 6, 7]}), True)
    alike, apart = pairs.compare("a", "b"), pairs.compare("c", "a")
    assert (alike.verdict, alike.p_adjusted) == ("tied", 1.0) and (alike.interval.low, alike.interval.high) == (0, 0)
    assert (apart.verdict, apart.p_adjusted, apart.difference) == ("better", 2 / 2**6, 1.0)
    assert pairs.compare("a", "c").verdict == "worse" and pairs.compare("a", "c").difference == -1.0


def test_too_few_clips_have_a_p_but_no_verdict_and_no_interval():
    found = all_pairs(rows_of({"a": [1.0, 2, 3], "b": [2.0, 3, 4.5]}), True).compare("b", "a")
    assert (found.verdict, found.interval, found.p_adjusted) == ("too few clips", None, 2 / 2**3)
    assert all_pairs(rows_of({"a": [1.0], "b": [2.0]}), True).compare("b", "a").p_adjusted is None


def test_lower_is_better():
    values = {"a": [1.0, 2, 3, 4, 5, 6], "b": [2.0, 3, 4, 5, 6, 7.5]}
    found = all_pairs(rows_of(values), False).compare("a", "b")
    assert (found.verdict, found.wins) == ("better", 6) and found.difference < 0


def test_pairs_take_frames_that_are_finite_in_both_and_clips_that_all_have():
    frames = ["1", "2", "3"]
    one = {"a": pd.Series([25, INF, 27.0], frames), "b": pd.Series([30, 31.0, 32], frames)}
    two = {"a": pd.Series([24, 24, INF], frames), "b": pd.Series([29, 29.0], frames[:2]), "c": one["b"]}
    pairs = all_pairs({"one": one, "two": two}, True)
    assert pairs.clips == ("a", "b")
    assert pairs.compare("one", "two").difference == pytest.approx((1 + 1.5) / 2)
    none = all_pairs({"one": one, "two": {"c": one["a"]}}, True)
    assert none.clips == () and none.compare("one", "two") is None


@given(st.integers(2, 7), st.integers(6, 9), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_an_interval_leaves_out_zero_exactly_where_the_test_sees_a_difference(methods, clips, seed):
    random = np.random.default_rng(seed)
    values = random.normal(random.uniform(0, 2, methods)[:, None], 1, (methods, clips))
    pairs = all_pairs(rows_of({f"m{m}": list(row) for m, row in enumerate(values)}), True)
    for one in pairs.labels:
        for two in pairs.labels[: pairs.labels.index(one)]:
            found = pairs.compare(one, two)
            low, high = found.interval.low, found.interval.high
            assert low <= found.difference <= high
            assert (low <= 0 <= high) if found.verdict == "tied" else (low >= 0 or high <= 0)


@given(st.integers(2, 7), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_groups_are_the_largest_sets_without_a_distinct_pair(methods, seed):
    random = np.random.default_rng(seed)
    values = random.normal(random.uniform(0, 3, methods)[:, None], 1, (methods, 8))
    pairs = all_pairs(rows_of({f"m{m}": list(row) for m, row in enumerate(values)}), True)
    groups = pairs.groups(pairs.labels)
    for number, one in enumerate(pairs.labels):
        for two in pairs.labels[:number]:
            assert any({one, two} <= set(group) for group in groups) == (not pairs.distinct(one, two))
    assert not any(set(a) < set(b) for a in groups for b in groups)


@pytest.mark.parametrize(("clips", "methods"), [(3, 3), (8, 3), (8, 11), (11, 11)])
def test_the_error_of_the_whole_family(clips, methods):
    """About 5 %, and never where the clips are too few; docs/decisions/0014 has longer simulations."""
    error = simulation.family_error(clips, methods, rounds=400)
    assert error == 0 if clips < max_t.CLIPS_NEEDED else 0.02 <= error <= 0.085  # three standard errors


@pytest.mark.parametrize(("clips", "methods"), [(8, 3), (8, 11), (11, 11)])
def test_power_is_not_below_holms(clips, methods):
    ours, holms = simulation.power(clips, methods, effect=0.5, rounds=100)
    assert ours >= holms - 0.01


def test_simultaneous_intervals_cover_all_differences():
    assert simulation.coverage(8, 11, effect=0.5, rounds=200) >= 0.90


def test_the_table_the_ranks_and_the_intervals_say_one_thing(tmp_path: Path):
    methods = {"identity": 1.0} | {f"m{n}": 0.5 + 0.002 * n for n in range(10)}
    table = tables.build([fake_run.write(tmp_path, Fake(methods=methods))])
    pairs = table.pairs["psnr"]
    for row in table.rows[1:]:
        paired = row.cells["psnr"].paired
        assert paired.verdict == "better" and pairs.distinct(row.label, "identity") and paired.interval.low > 0
    text = tables.markdown(table)
    assert "too few clips" not in text and "tested together over 8 clips" in text
    assert "Not distinguishable on these clips: m" in text


def test_where_clips_are_too_few_the_table_says_once_what_would_do(tmp_path: Path):
    text = tables.markdown(tables.build([fake_run.write(tmp_path, Fake(clips=("a", "b", "c", "d")))]))
    assert text.count("Differences are not tested: 4 clips are too few for a test, 6 would do") == 1
    assert "smallest p is 0.12" in text and "too few clips" not in text
