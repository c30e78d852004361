"""table.tex: what a paper can take as it is, and cells that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deblurbench import tables
from deblurbench.errors import UsageError
from deblurbench.tables import LatexStyle, ranks
from deblurbench.tables.latex import NARROW, parameters
from tests import fake_run
from tests.fake_run import Fake

HOSTILE = {"device": "50% of a_GPU & {more}", "data_root": "/home/me/data"}


@pytest.fixture
def table(tmp_path: Path) -> tables.ResultTable:
    fake = Fake(changes=HOSTILE, method_changes={"srn:rgb": {"trained_on": ["mini"]}})
    return tables.build([fake_run.write(tmp_path / "run", fake)])


def printed(text: str) -> list[str]:
    """The lines that are set, without comments."""
    return [line.strip() for line in text.splitlines() if not line.startswith("%")]


def test_booktabs_with_a_caption_of_one_sentence_and_a_label(table):
    lines = printed(tables.latex(table))
    caption = next(line for line in lines if line.startswith(r"\caption"))
    assert (
        caption
        == r"\caption{Results on mini (8 clips, 56 scored frames), best in bold, second \underline{underlined}.}"
    )
    assert r"\label{tab:mini}" in lines and lines[0] == r"\begin{table}"
    assert [lines.count(rf"\{rule}") for rule in ("toprule", "midrule", "bottomrule")] == [1, 1, 1]
    assert r"Method & PSNR $\uparrow$ & SSIM $\uparrow$ & Time (ms) $\downarrow$ \\" in lines
    row = next(line for line in lines if line.startswith("srn:rgb"))
    assert row.startswith(r"srn:rgb \textsuperscript{\S} & \textbf{") and row.endswith(r" \\")
    assert any(line.startswith(r"\par\smallskip{\footnotesize \textsuperscript{\S} ") for line in lines)


def test_provenance_stands_in_comments_only(table):
    text = tables.latex(table)
    assert "% Device 50% of a_GPU & {more}, precision fp32." in text
    assert not any("a_GPU" in line or "Device" in line for line in printed(text))


def test_intervals_are_asked_for_and_stand_apart(table):
    assert "scriptsize" not in tables.latex(table)
    text = tables.latex(table, LatexStyle(intervals=True))
    assert re.search(r"\} \{\\scriptsize \[\d+\.\d\d, \d+\.\d\d\]\}", text)
    assert text.count(r"{table*}") == 2  # too long for one column


def test_four_metrics_fit_a_column_of_a_paper(tmp_path):
    methods = {"identity": 1.0, "unsharp:strong": 0.9}
    text = tables.latex(
        tables.build([fake_run.write(tmp_path, Fake(methods=methods))]), LatexStyle(("psnr", "ssim") * 2)
    )
    plain = [re.sub(r"\\(textbf|underline|uparrow)|[{}$\\&]", "", line) for line in printed(text) if "&" in line]
    assert max(len(" ".join(line.split())) for line in plain) <= NARROW and "table*" not in text


def test_columns_are_chosen_and_unknown_ones_get_the_nearest(table):
    text = tables.latex(table, LatexStyle(("parameters", "gain", "rank"), short_names=True))
    assert r"Method & Parameters & Gain (dB) & Rank \\" in text
    assert re.search(r"ifirnn & 1\.64M & \+\d\.\d\d & \d\.\d \\\\", text)
    assert r"identity & -- & -- & 3.0 \\" in text
    with pytest.raises(UsageError, match=r"--columns pnsr: no such column of this table.*psnr"):
        tables.latex(table, LatexStyle(("pnsr",)))


def test_a_failed_method_spans_the_columns(tmp_path):
    run = fake_run.write(tmp_path, Fake(failed={"srn:rgb": "clip-01"}))
    assert r"srn:rgb & \multicolumn{3}{c}{\textit{failed}} \\" in tables.latex(tables.build([run]))


def test_parameters_are_short():
    assert [parameters(n) for n in (None, 0, 350, 811_904, 1_635_683)] == ["", "", "350", "812k", "1.64M"]


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
@pytest.mark.parametrize("style", [LatexStyle(), LatexStyle(intervals=True, short_names=True)])
def test_pdflatex_sets_it(table, tmp_path, style):
    head = r"\documentclass[twocolumn]{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "paper.tex").write_text(f"{head}\n{tables.latex(table, style)}\n\\end{{document}}\n")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Overfull" not in done.stdout, done.stdout[-2000:]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_cell_is_a_formula(tmp_path, name):
    table = tables.build([fake_run.write(tmp_path / "run", Fake(methods={"identity": 1.0, name: 0.5}))])
    for text, column in ((tables.csv_text(table), "method"), (ranks.csv_text(table), "method")):
        names = {row[column] for row in csv.DictReader(io.StringIO(text, newline=""))}
        assert names == {"identity", f"'{name}"}
