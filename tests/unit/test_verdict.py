"""What the report's page says in words: the best method, the reference by its name, differences of clip means."""

from __future__ import annotations

from pathlib import Path

from deblurbench.reports.gallery import verdict

from deblurbench import tables
from tests import fake_run
from tests.fake_run import Fake


def _said(folder: Path, fake: Fake, reference: str = "identity") -> str:
    table = tables.build([fake_run.write(folder, fake)], reference=reference)
    return " ".join(verdict.verdict(table, verdict.rivals(table)))


def test_the_reference_is_called_by_its_name(tmp_path: Path) -> None:
    fake = Fake(methods={"identity": 1.0, "good": 0.4, "poor": 0.8})
    assert _said(tmp_path / "one", fake, "good").startswith("No method is better than good (")
    blurred = Fake(methods={"identity": 1.0, "poor": 1.5})
    assert _said(tmp_path / "two", blurred).startswith("No method is better than the blurry input (")
    changes = {"identity": {"random_weights": True}, "poor": {"random_weights": True}}
    alone = Fake(methods=fake.methods, method_changes=changes)
    assert _said(tmp_path / "three", alone, "good").startswith("Nothing to compare with good (")


def test_differences_are_said_to_be_of_means_over_clips(tmp_path: Path) -> None:
    said = _said(tmp_path / "one", Fake())
    assert "Against the blurry input the mean over clips changes by +2." in said and "better on 8 of 8 clips" in said
    few = _said(tmp_path / "few", Fake(clips=("a",)))
    assert "the mean over clips changes by +2." in few and "; 1 clip is too few for a test, 6 would do." in few
