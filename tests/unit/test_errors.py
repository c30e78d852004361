"""The words of errors."""

import warnings

import pytest

from deblurbench.cli import main
from deblurbench.errors import Notice
from deblurbench.text import counted, did_you_mean


def test_after_a_good_match_a_dozen_names_are_enough():
    names = [f"method{n}" for n in range(30)] + ["ifirnn"]
    told = did_you_mean("ifirn", names)
    assert told.startswith("Did you mean 'ifirnn'? Known: ifirnn, ") and told.endswith(", ... (31 in all).")
    assert told.count(", ") == 12
    assert did_you_mean("Lst", ["list", "show"]) == "Did you mean 'list'? Known: list, show."


def test_without_a_match_all_names_are_told():
    names = [f"method{n:02d}" for n in range(30)]
    assert did_you_mean("zzz", names) == f"Known: {', '.join(names)}."
    assert did_you_mean("zzz", []) == "Known: none."


def test_counts_agree_with_their_nouns():
    assert [counted(n, "clip") for n in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]


def test_a_notice_is_one_plain_line_and_other_warnings_keep_their_place(monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    with pytest.raises(SystemExit):
        main.main(["--version"])
    assert warnings.formatwarning(Notice("frames are odd"), Notice, "/a/b.py", 228) == "! frames are odd\n"
    assert "/a/b.py:228: UserWarning" in warnings.formatwarning(UserWarning("x"), UserWarning, "/a/b.py", 228)
