"""A comparison table as HTML for a notebook: one `<table>` with its caption, and no script."""

from __future__ import annotations

from html import escape

from deblurbench.tables.model import Column, ResultTable, Row

_STYLE = {"best": "font-weight:bold", "second": "text-decoration:underline", "": ""}


def html(table: ResultTable) -> str:
    """The table with best values bold and second ones underlined; caption, footnotes and warnings stand below it."""
    heads = "".join(f"<th>{escape(text)}</th>" for text in ["Method", *[c.heading for c in table.columns]])
    rows = "".join(f"<tr>{_row(row, table.columns)}</tr>" for row in table.rows)
    marks = [f"{mark} {text}" for mark, text in table.notes.items()]
    below = [*table.caption, *marks, *[f"! {text}" for text in table.warnings]]
    lines = "".join(f"<div><small>{escape(text)}</small></div>" for text in below)
    return f"<table><caption>{escape(table.title)}</caption><tr>{heads}</tr>{rows}</table>{lines}"


def _row(row: Row, columns: tuple[Column, ...]) -> str:
    name = f"<td>{escape(row.name)}</td>"
    if not row.ok:
        return f'{name}<td colspan="{len(columns)}">{escape(row.summary.state)}: {escape(row.summary.reason)}</td>'
    return name + "".join(_cell(row, column) for column in columns)


def _cell(row: Row, column: Column) -> str:
    cell = row.cells.get(column.key)
    if cell is None or cell.value is None:
        return "<td>\N{EN DASH}</td>"
    return f'<td style="{_STYLE[cell.mark]}">{column.show(cell.value)}</td>'
