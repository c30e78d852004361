"""Which frames are shown: ranked by the methods' mean, a fixed stride, and only what the disk can hold."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblurbench.results import frame_choice
from tests.fake_run import METRICS

PSNR = METRICS[0]
STEMS = [f"{n:06d}" for n in range(1, 13)]


def values(*psnr: float) -> dict[str, float]:
    return dict(zip(STEMS, psnr, strict=False))


def test_ranked_by_the_mean_of_the_methods_and_not_by_one() -> None:
    one = values(30, 20, 30, 30, 30, 30, 30, 30, 30, 30, 41, 40)
    two = values(30, 31, 10, 30, 30, 30, 30, 30, 30, 30, 30, 40)
    choice = frame_choice.choose(STEMS, STEMS, {"one": one, "two": two}, PSNR)
    assert choice.frames["000003"] == ["worst", "stride"]  # (30 + 10) / 2 is below (20 + 31) / 2
    assert choice.frames["000012"] == ["best"]
    assert choice.frames["000006"] == ["median"]  # the sixth of twelve in rank: 3, 2, then level ones in order
    assert {s for s, why in choice.frames.items() if "stride" in why} == {"000003", "000007", "000011"}
    assert (choice.ranked_by, choice.metric, choice.candidates, choice.of) == (["one", "two"], "psnr", 12, 12)
    assert list(choice.frames) == sorted(choice.frames)


def test_a_metric_of_which_less_is_better_turns_the_ranks() -> None:
    lower = PSNR.model_copy(update={"higher_is_better": False})
    choice = frame_choice.choose(STEMS, STEMS, {"one": values(*range(12))}, lower)
    assert choice.frames["000001"] == ["best"] and choice.frames["000012"] == ["worst"]


def test_infinite_values_are_best_and_a_method_without_values_does_not_count() -> None:
    choice = frame_choice.choose(STEMS, STEMS, {"one": values(*range(11), math.inf), "failed": {}}, PSNR)
    assert choice.frames["000012"] == ["best"] and choice.ranked_by == ["one"]


def test_without_scores_the_stride_is_left() -> None:
    choice = frame_choice.choose(STEMS, STEMS, {"one": {}}, None)
    assert choice.frames == {stem: ["stride"] for stem in ("000003", "000007", "000011")}
    assert (choice.ranked_by, choice.metric, choice.candidates) == ([], "", 0)
    assert frame_choice.choose([], [], {}, PSNR).frames == {}


@given(st.integers(0, 200), st.integers(1, 250))
def test_candidates_are_spread_in_order_and_hold_the_stride(count: int, allowed: int) -> None:
    stems = [str(n) for n in range(count)]
    found = frame_choice.candidates(stems, allowed)
    assert [int(s) for s in found] == sorted({int(s) for s in found})
    assert set(frame_choice.strided(stems)) <= set(found)
    assert len(found) <= min(count, allowed + frame_choice.STRIDE)
    if allowed >= count:
        assert found == stems


def test_candidates_fit_the_disk() -> None:
    assert frame_choice.affordable([1280 * 720] * 11, 5) == 24  # GOPRO, the input, three methods, the ground truth
    assert frame_choice.affordable([320 * 180] * 8, 4) > 100
    assert frame_choice.affordable([7680 * 4320] * 100, 30) == frame_choice.STRIDE == frame_choice.affordable([], 3)


def test_films_are_chosen_by_place_and_fit_the_disk() -> None:
    stems = [str(n) for n in range(60)]
    found = frame_choice.films([(stems, 320 * 180)] * 11, 4)
    assert list(found) == [2, 8] and all(film == stems for film in found.values())
    large = frame_choice.films([(stems, 1280 * 720)] * 11, 5)
    assert list(large) == [2, 8] and len(large[2]) == 34 and large[2] == stems[13:47]
    assert list(frame_choice.films([(stems, 3840 * 2160)] * 11, 5)) == []
    assert list(frame_choice.films([(stems, 1920 * 1080)] * 11, 9)) == [5]  # one clip where two are too short
    assert frame_choice.films([(stems[:11], 320 * 180)], 4) == {} == frame_choice.films([], 4)


def test_only_psnr_ranks() -> None:
    assert frame_choice.ranking_metric(METRICS) is PSNR
    assert frame_choice.ranking_metric(METRICS[1:]) is None
    assert frame_choice.ranking_metric([PSNR.model_copy(update={"absent": "not here"})]) is None


@pytest.mark.parametrize(("count", "expected"), [(7, [1, 3, 5]), (1, [0]), (2, [0, 1]), (0, [])])
def test_spread(count: int, expected: list[int]) -> None:
    assert frame_choice.spread(count, 3) == expected
