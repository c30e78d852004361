"""The comparison table as files: table.md, table.tex (booktabs) and table.csv; ranks.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deblurbench import tables
from deblurbench.frames.files import write_atomically
from deblurbench.reports.base import Options, Report
from deblurbench.results.run import Run
from deblurbench.tables import ranks


class Tables(Report):
    """Writes the table in three notations, UTF-8."""

    def write(
        self, runs: Sequence[Run], folder: Path, *, allow_mixed: bool = False, options: Options | None = None
    ) -> list[Path]:
        """Write table.md, table.tex, table.csv and ranks.csv into `folder`.

        Raises:
            UsageError: the runs cannot share a table (see `deblurbench.tables.build`).
            DiskError: the folder cannot be written.
        """
        shown = options or Options()
        table = tables.build(runs, reference=shown.reference, allow_mixed=allow_mixed)
        texts = {
            "table.md": tables.markdown(table),
            "table.tex": tables.latex(table, shown.latex),
            "table.csv": tables.csv_text(table),
            "ranks.csv": ranks.csv_text(table),
        }
        for name, text in texts.items():
            write_atomically(folder / name, text.encode())
        return [folder / name for name in texts]
