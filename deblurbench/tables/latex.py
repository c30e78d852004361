"""A comparison table as LaTeX for a paper: booktabs, a caption of one sentence, a label, provenance as comments."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from deblurbench.errors import UsageError
from deblurbench.tables import ranks
from deblurbench.tables.model import (
    MIXED,
    RANDOM,
    SECONDS,
    SEEN,
    STARTUP,
    TILED,
    Cell,
    Column,
    ResultTable,
    Row,
    significant,
)
from deblurbench.text import did_you_mean

GAIN, RANK, PARAMETERS = "gain", "rank", "parameters"
NARROW = 60  # characters of a row that fit the column of a two-column paper
LONGEST_CAPTION = 200
DASH = "--"
_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "\N{EN DASH}": "--", "\N{MINUS SIGN}": "$-$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "∞": r"$\infty$",
    MIXED: r"\textsuperscript{\dag}", RANDOM: r"\textsuperscript{\ddag}", SEEN: r"\textsuperscript{\S}",
    "¶": r"\textsuperscript{\P}", STARTUP: r"\textsuperscript{$\parallel$}",
    TILED: r"\textsuperscript{$\diamond$}",
}  # fmt: skip


@dataclass(frozen=True)
class LatexStyle:
    """What the table shows.

    Attributes:
        columns: ids of metrics, `seconds`, `gain` (by the first metric), `rank` and `parameters` in order; None for all
            metrics and the time.
        intervals: whether 95 % intervals stand beside the values.
        short_names: whether a method's variant is left out where its name alone is unambiguous.
    """

    columns: tuple[str, ...] | None = None
    intervals: bool = False
    short_names: bool = False


@dataclass(frozen=True)
class _Shown:
    """One column: its heading, and what it shows of a row that has a mean."""

    heading: str
    cell: Callable[[Row], str]


def latex(table: ResultTable, style: LatexStyle | None = None) -> str:
    r"""A booktabs `table`, or `table*` where a row is too long for one column of a two-column paper.

    Best values are \textbf, second ones \underline. Only \usepackage{booktabs} is needed.

    Raises:
        UsageError: a column that the table has not.
    """
    style = style or LatexStyle()
    columns = _columns(table, style)
    names = _names(table, style.short_names)
    rows = [["Method", *[column.heading for column in columns]]]
    rows += [[names[row.label], *_cells(row, columns)] for row in table.rows]
    wide = "*" * (max(_printed_length(row) for row in rows) > NARROW)
    head, *body = [" & ".join(row) + r" \\" for row in rows]
    notes = "; ".join(f"{escape(mark)} {escape(text)}" for mark, text in table.notes.items())
    lines = [
        *[f"% {line}" for line in _provenance(table)],
        rf"\begin{{table{wide}}}",
        r"  \centering",
        rf"  \caption{{{_caption(table)}}}",
        rf"  \label{{tab:{re.sub(r'[^a-z0-9]+', '-', table.title.lower()).strip('-')}}}",
        rf"  \begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"    \toprule",
        f"    {head}",
        r"    \midrule",
        *[f"    {line}" for line in body],
        r"    \bottomrule",
        r"  \end{tabular}",
        *[rf"  \par\smallskip{{\footnotesize {notes}.}}"] * bool(notes),
        rf"\end{{table{wide}}}",
    ]
    return "\n".join(lines) + "\n"


def _columns(table: ResultTable, style: LatexStyle) -> list[_Shown]:
    shown = {column.key: _values(table, column, style.intervals) for column in table.columns}
    keys = style.columns or tuple(shown)
    if table.metrics:
        first = table.metrics[0]
        shown[GAIN] = _Shown(f"Gain{_unit(first)}", lambda row: _gain(row.cells.get(first.key), first))
        mean_ranks = {m.method: f"{m.mean_rank:.1f}" for r in ranks.rankings(table)[:1] for m in r.methods}
        shown[RANK] = _Shown("Rank", lambda row: mean_ranks.get(row.label, DASH))
    shown[PARAMETERS] = _Shown("Parameters", lambda row: parameters(row.method.parameters) or DASH)
    for key in keys:
        if key not in shown:
            raise UsageError(f"--columns {key}: no such column of this table. {did_you_mean(key, shown)}")
    return [shown[key] for key in keys]


def _values(table: ResultTable, column: Column, intervals: bool) -> _Shown:
    if column.key == SECONDS:
        times = [value for row in table.rows if (value := row.value(SECONDS)) is not None]
        scale, unit = (1000, "ms") if max(times, default=0) < 1 else (1, "s")
        return _Shown(rf"Time ({unit}) $\downarrow$", lambda row: _value(row, column, False, scale))
    return _Shown(f"{escape(column.label)} {escape(column.arrow)}", lambda row: _value(row, column, intervals))


def _value(row: Row, column: Column, intervals: bool, scale: float = 1) -> str:
    cell = row.cells.get(column.key)
    if cell is None or cell.value is None:
        return DASH
    text = escape(significant(cell.value * scale) if column.key == SECONDS else column.show(cell.value))
    text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}", "": text}[cell.mark]
    if intervals and cell.interval:
        text += rf" {{\scriptsize [{column.show(cell.interval.low)}, {column.show(cell.interval.high)}]}}"
    return text


def _gain(cell: Cell | None, column: Column) -> str:
    return escape(column.show_difference(cell.paired.difference)) if cell and cell.paired else DASH


def _unit(column: Column) -> str:
    return f" ({escape(column.unit)})" if column.unit else ""


def parameters(count: int | None) -> str:
    """A number of parameters as printed: 1.64M, 812k, 350; empty for none."""
    if not count:
        return ""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{significant(count / size)}{letter}"
    return str(count)


def _cells(row: Row, columns: list[_Shown]) -> list[str]:
    if not row.ok:
        return [rf"\multicolumn{{{len(columns)}}}{{c}}{{\textit{{{escape(row.summary.state)}}}}}"]
    return [column.cell(row) for column in columns]


def _names(table: ResultTable, short: bool) -> dict[str, str]:
    """Label -> name with its footnote signs, escaped."""
    counts = Counter(row.method.name for row in table.rows)
    return {
        row.label: escape(row.name.replace(row.label, row.method.name, 1))
        if short and counts[row.method.name] == 1
        else escape(row.name)
        for row in table.rows
    }


def _caption(table: ResultTable) -> str:
    """One sentence: what was scored and what the marks mean."""
    clips = table.clips
    frames = sum(len(clip.scored) for clip in clips)
    marks = r"best in bold, second \underline{underlined}"
    text = f"Results on {escape(table.title)} ({len(clips)} clips, {frames} scored frames), {marks}."
    return text if len(text) <= LONGEST_CAPTION else f"Results on {frames} frames of {len(clips)} clips, {marks}."


def _provenance(table: ResultTable) -> list[str]:
    r"""Needed packages, and all that a reader must know, as it stands below other tables."""
    lines = [r"needs \usepackage{booktabs}", *table.caption, *table.warnings, *table.paper_notes]
    return [" ".join(line.split()) for line in lines]


def _printed_length(cells: list[str]) -> int:
    """About how many characters a row takes in print."""
    text = re.sub(r"\\(textsuperscript|[a-z]*arrow|[a-z]+size|multicolumn\{\d+\}\{c\}|[a-z]+)", "", " ".join(cells))
    return len(re.sub(r"\s+", " ", re.sub(r"[{}$\\]", "", text)).strip())


def escape(text: str) -> str:
    """Text as it is, not as LaTeX, on one line."""
    return "".join(_SPECIAL.get(character, character) for character in text.replace("\n", " "))
