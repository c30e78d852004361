"""A comparison table as Markdown, CSV, JSON values, and on the terminal."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from deblurbench.analysis.statistics import Interval
from deblurbench.registry.cards import IDENTITY
from deblurbench.tables import ranks
from deblurbench.tables.latex import parameters
from deblurbench.tables.markdown import md_escape, md_row
from deblurbench.tables.model import Cell, Column, ResultTable, Row
from deblurbench.text import plain_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, Group
    from rich.table import Table
    from rich.text import Text

DASH = "\N{EN DASH}"


def markdown(table: ResultTable) -> str:
    """GitHub Markdown: best bold, second underlined (`<u>`), caption and notes below."""
    papers = [c for c in table.metrics if table.papers(c)]
    compared = _compared(table)
    mean_ranks = {m.method: f"{m.mean_rank:.2f}" for r in ranks.rankings(table)[:1] for m in r.methods}
    heads = ["Method", "Weights", "Parameters", *["Rank"] * bool(mean_ranks), *[c.heading for c in table.columns]]
    facts = len(heads) - len(table.columns)
    heads += [*[_compared_heading(table, c) for c in compared], *[f"{c.label} (paper)" for c in papers]]
    lines = [md_row(heads), md_row(["---", "---", *["---:"] * (len(heads) - 2)])]
    for row in table.rows:
        cells = [_md_cell(row, c) for c in table.columns] + [_difference(row, c) for c in compared]
        cells += [_paper_text(row.cells.get(c.key), c) for c in papers]
        about = [md_escape(row.name), md_escape(row.weights), parameters(row.method.parameters) or DASH]
        about.append(mean_ranks.get(row.label, DASH))
        lines.append(md_row([*about[:facts], *cells]))
    notes = [f"- {md_escape(line)}" for line in _below(table)]
    below = ranks.markdown(table)
    return "\n".join([*lines, "", *notes, *["", below.rstrip()] * bool(below)]) + "\n"


def csv_text(table: ResultTable) -> str:
    """One row a method, one column a metric id, plus `seconds`; full precision, empty where there is no mean."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    keys = [*[c.key for c in table.metrics], "seconds"]
    writer.writerow(["method", *keys])
    for row in table.rows:
        values = [row.value(k) for k in keys]
        writer.writerow([plain_cell(row.label), *["" if v is None else repr(v) for v in values]])
    return text.getvalue()


def as_json(table: ResultTable) -> str:
    """JSON for `--json`: title, caption, warnings, and one object a method. Infinity is the string "inf"."""
    body = {
        "title": table.title,
        "reference": table.reference,
        "caption": list(table.caption),
        "warnings": list(table.warnings),
        "notes": table.notes,
        "methods": [_json_row(row) for row in table.rows],
        "ranks": ranks.as_values(table),
    }
    return json.dumps(body, indent=2, ensure_ascii=False)


def terminal(table: ResultTable) -> Group:
    """A rich renderable: the table, then its caption, notes and warnings.

    Where the terminal is too narrow, the columns stand in several tables below each other, each with all names.
    """
    from rich.console import Group
    from rich.text import Text

    lines = [Text(line, "dim") for line in (*table.caption, *_note_lines(table))]
    lines += [
        Text(f"{_label(table, r.metric)} ranks: {ranks.sentence(table, r)}", "dim") for r in ranks.rankings(table)[:1]
    ]
    return Group(_Grids(table), *lines, *[Text(f"! {line}", "yellow") for line in table.warnings])


class _Grids:
    """The terminal's table, in as many pieces as its width demands."""

    def __init__(self, table: ResultTable) -> None:
        from rich.text import Text

        self.table, self.heads = table, [c.heading for c in table.columns]
        self.cells = [[_terminal_cell(row, c) for c in table.columns] for row in table.rows]
        for column in _compared(table)[:1]:
            self.heads.append(_compared_heading(table, column))
            for cells, row in zip(self.cells, table.rows, strict=True):
                cells.append(Text(_difference(row, column)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        first = 0
        while first < len(self.heads) or not first:
            last = len(self.heads)
            while last > first + 1 and not self._fits(self._grid(first, last), console, options):
                last -= 1
            yield self._grid(first, last)
            first = max(last, 1)

    @staticmethod
    def _fits(grid: Table, console: Console, options: ConsoleOptions) -> bool:
        natural = grid.__rich_measure__(console, options.update(max_width=10_000)).maximum
        return natural <= options.max_width

    def _grid(self, first: int, last: int) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        title = Text(self.table.title) if first == 0 else None
        grid = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
        longest = max((len(row.name) for row in self.table.rows), default=0)
        grid.add_column("Method", overflow="fold", min_width=min(longest, 30))
        for head in self.heads[first:last]:
            grid.add_column(head, justify="right", no_wrap=True)
        for row, cells in zip(self.table.rows, self.cells, strict=True):
            grid.add_row(Text(row.name), *(cells[first:last] if row.ok else [_terminal_state(row)]))
        return grid


def _label(table: ResultTable, key: str) -> str:
    return next(column.label for column in table.columns if column.key == key)


def _terminal_cell(row: Row, column: Column) -> Text:
    from rich.text import Text

    mark = row.cells[column.key].mark if column.key in row.cells else ""
    return Text(_plain(row, column), {"best": "bold green", "second": "underline", "": ""}[mark])


def _terminal_state(row: Row) -> Text:
    from rich.text import Text

    return Text(row.summary.state, "red" if row.summary.state == "failed" else "yellow")


def _compared(table: ResultTable) -> list[Column]:
    """The metrics by which at least one method is compared with the reference."""
    return [c for c in table.metrics if any(r.cells[c.key].paired for r in table.rows if c.key in r.cells)]


def _compared_heading(table: ResultTable, column: Column) -> str:
    return f"{column.label} gain" if table.reference == IDENTITY else f"Δ {column.label} to {table.reference}"


def _difference(row: Row, column: Column) -> str:
    """'+2.05 [+2.01, +2.08]', with 'tied' where the test sees no difference."""
    paired = row.cells[column.key].paired if column.key in row.cells else None
    if paired is None:
        return DASH
    text = column.show_difference(paired.difference)
    if paired.interval:
        text += f" [{column.show_difference(paired.interval.low)}, {column.show_difference(paired.interval.high)}]"
    return f"{text} tied" if paired.verdict == "tied" else text


def _json_row(row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {
        "method": row.label, "weights": row.method.weights, "state": row.summary.state, "reason": row.summary.reason,
        "marks": list(row.marks),
    }  # fmt: skip
    for key, cell in row.cells.items():
        values[key] = {"value": _finite(cell.value), "mark": cell.mark or None, "interval": _pair(cell.interval)}
        if cell.paired:
            paired = vars(cell.paired) | {"interval": _pair(cell.paired.interval)}
            values[key]["paired"] = paired
    return values


def _finite(value: float | None) -> float | str | None:
    return "inf" if value == float("inf") else value


def _pair(interval: Interval | None) -> list[float] | None:
    return [interval.low, interval.high] if interval else None


def _plain(row: Row, column: Column) -> str:
    cell = row.cells.get(column.key)
    return DASH if cell is None or cell.value is None else column.show(cell.value)


def _interval(row: Row, column: Column) -> str:
    """' [25.14, 29.25]' of a mean; empty where it has none."""
    interval = row.cells[column.key].interval if column.key in row.cells else None
    return f" [{column.show(interval.low)}, {column.show(interval.high)}]" if interval else ""


def _md_cell(row: Row, column: Column) -> str:
    if not row.ok:
        return row.summary.state
    mark = row.cells[column.key].mark if column.key in row.cells else ""
    text = _plain(row, column)
    return {"best": f"**{text}**", "second": f"<u>{text}</u>", "": text}[mark] + _interval(row, column)


def _paper_text(cell: Cell | None, column: Column) -> str:
    """'28.79 (here -2.94)': what the paper reports, and how far the measured value lies from it."""
    if cell is None or cell.paper is None:
        return DASH
    here = "" if cell.value is None else f" (here {column.show_difference(cell.value - cell.paper.value)})"
    return f"{column.show(cell.paper.value)}{here}"


def _note_lines(table: ResultTable) -> list[str]:
    return [f"{mark} {text}" for mark, text in table.notes.items()]


def _below(table: ResultTable) -> list[str]:
    return [*table.caption, *_note_lines(table), *table.warnings, *table.paper_notes]
