"""The comparison table of one or several runs, and its renderings. Used by the reports and by the terminal."""

from deblurbench.tables.builder import build
from deblurbench.tables.latex import LatexStyle, latex
from deblurbench.tables.model import Cell, Column, ResultTable, Row
from deblurbench.tables.ranks import rankings
from deblurbench.tables.render import as_json, csv_text, markdown, terminal

__all__ = [
    "Cell",
    "Column",
    "LatexStyle",
    "ResultTable",
    "Row",
    "as_json",
    "build",
    "csv_text",
    "latex",
    "markdown",
    "rankings",
    "terminal",
]
