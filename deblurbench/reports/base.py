"""What a kind of report is: it reads stored runs and writes files, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deblurbench.registry.cards import IDENTITY, ReportCard
from deblurbench.results.run import Run
from deblurbench.tables.latex import LatexStyle

MEGABYTE = 1_000_000
BUDGET = 50
GalleryKind = Literal["all", "sample", "none"]


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Options:
    """How much a report shows. `budget` bounds the bytes of its pictures and videos together.

    `gallery`: all frames that were kept, the worst, median and best of each clip and a stride, or none.
    `reference` is the id of the method that the others are compared with, `latex` says what table.tex shows.
    `progress` is told what is being made, how many pieces are done, and of how many.
    """

    gallery: GalleryKind = "sample"
    budget: int = BUDGET * MEGABYTE
    progress: Callable[[str, int, int], None] = _silent
    reference: str = IDENTITY
    latex: LatexStyle = field(default_factory=LatexStyle)


class Report:
    """Base of all reports. One subclass a folder in reports/."""

    def __init__(self, card: ReportCard) -> None:
        self.card = card

    def write(
        self, runs: Sequence[Run], folder: Path, *, allow_mixed: bool = False, options: Options | None = None
    ) -> list[Path]:
        """Write the report of one or several runs into `folder` and return the files, the one to open first.

        The same runs give the same bytes. Runs under different protocols, scored frames or metric versions are refused
        unless `allow_mixed` is set; then their rows are marked (`deblurbench.tables.build` does both).
        """
        raise NotImplementedError
