"""Ranks and wins on data with known answers, and where they appear."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblurbench import tables
from deblurbench.analysis.ranking import rank
from deblurbench.registry.discovery import plugin
from deblurbench.tables import ranks
from tests import fake_run
from tests.fake_run import Fake

INF = math.inf


def ranking(values: dict[str, list[float]], higher: bool = True, frames: dict[str, list[float]] | None = None):
    return rank("psnr", values, frames or {}, higher)


def test_ranks_and_wins_known_answer():
    values = {"a": [30.0] * 6 + [20.0], "b": [25.0] * 6 + [31.0], "c": [24.0] * 7}
    found = ranking(values, frames={"a": [3.0, 1, 2], "b": [3.0, 2, 1], "c": [0.0, 0, 0]})
    assert [m.method for m in found.methods] == ["a", "b", "c"]
    assert [m.mean_rank for m in found.methods] == pytest.approx([9 / 7, 13 / 7, 20 / 7])
    assert [m.best_clips for m in found.methods] == [6, 1, 0]
    assert [m.best_frames for m in found.methods] == [1.5, 1.5, 0]  # a frame with two best ones is shared


def test_where_lower_is_better_the_order_turns():
    values = {"a": [1.0, 2, 3], "b": [2.0, 3, 4]}
    assert [m.method for m in ranking(values, higher=False).methods] == ["a", "b"]
    assert [m.method for m in ranking(values, higher=True).methods] == ["b", "a"]


def test_equal_and_infinite_values():
    found = ranking({"a": [INF, 20.0], "b": [INF, 20.0], "c": [30.0, 20.0]})
    assert {m.method: m.mean_rank for m in found.methods} == {"a": 1.75, "b": 1.75, "c": 2.5}


@given(st.integers(2, 6), st.integers(1, 9), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_ranks_and_wins_add_up(methods, clips, seed):
    random = np.random.default_rng(seed)
    values = {str(m): random.integers(0, 4, clips).astype(float).tolist() for m in range(methods)}
    found = ranking(values, frames=values)
    assert np.mean([m.mean_rank for m in found.methods]) == pytest.approx((methods + 1) / 2)
    assert sum(m.best_clips for m in found.methods) == pytest.approx(clips)
    assert sum(m.best_frames for m in found.methods) == pytest.approx(clips)


def test_every_table_tells_ranks(tmp_path: Path):
    run = fake_run.write(tmp_path)
    table = tables.build([run])
    text = tables.markdown(table)
    assert "| srn:rgb | 1." in text and "of 56)" in text and "- PSNR: All of them are distinguishable." in text
    told = json.loads(tables.as_json(table))["ranks"]
    assert [r["metric"] for r in told] == ["psnr", "ssim"]
    assert told[0]["methods"][-1] == {"method": "identity", "mean_rank": 3.0, "best_clips": 0.0, "best_frames": 0.0}
    files = plugin("reports", "tables").load()(plugin("reports", "tables").card).write([run], tmp_path / "report")
    assert (tmp_path / "report" / "ranks.csv") in files
    lines = (tmp_path / "report" / "ranks.csv").read_text().splitlines()
    assert lines[0] == ",".join(ranks.HEAD) and len(lines) == 7


def test_ranks_csv_numbers_the_groups_that_are_not_distinguishable(tmp_path: Path):
    methods = {"identity": 1.0, "a": 0.5, "b": 0.5001}
    text = ranks.csv_text(tables.build([fake_run.write(tmp_path, Fake(methods=methods))]))
    groups = {row["method"]: row["groups"] for row in csv.DictReader(text.splitlines()) if row["metric"] == "psnr"}
    assert groups == {"a": "1", "b": "1", "identity": ""}


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


def test_the_page_draws_ranks_the_same_every_time(tmp_path: Path):
    text = page(tmp_path, Fake())
    assert "Mean rank by psnr of 3 methods over 8 clips" in text
    assert page(tmp_path, Fake()) == text


def test_the_page_says_where_clips_are_too_few(tmp_path: Path):
    text = page(tmp_path, Fake(clips=("one", "two")))
    assert "Which of them differ is not tested: 2 clips are too few for a test, 6 would do." in text
    assert 'id="ranks"' not in page(tmp_path / "alone", Fake(methods={"identity": 1.0}))
