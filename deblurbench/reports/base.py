"""What a kind of report is: it reads stored runs and writes files, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deblurbench.cards import ReportCard
from deblurbench.store import Run


class Report:
    """Base of all reports. One subclass a folder in reports/."""

    def __init__(self, card: ReportCard) -> None:
        self.card = card

    def write(self, runs: Sequence[Run], folder: Path, *, allow_mixed: bool = False) -> list[Path]:
        """Write the report of one or several runs into `folder` and return the files, the one to open first.

        The same runs give the same bytes. Runs under different protocols, scored frames or metric versions are refused
        unless `allow_mixed` is set; then their rows are marked (`deblurbench.tables.build` does both).
        """
        raise NotImplementedError
