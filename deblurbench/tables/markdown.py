"""Markdown tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def md_row(cells: list[str]) -> str:
    """Cells as a row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def md_escape(text: str) -> str:
    """Text as it is, not as Markdown, on one line."""
    return re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", text).replace("\n", " ")
