"""A stored run, for reading: the one place that scores and times come from.

Reports, tables, statistics, figures and the Python API read a run through `Run`; nothing else filters scores.csv.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from deblurbench.errors import DamagedError, UsageError
from deblurbench.results import digests
from deblurbench.results.manifest import Manifest
from deblurbench.results.store import GROUND_TRUTH, SCORES, TIMINGS, Store
from deblurbench.text import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Groups = dict[tuple[str, str, str], "np.ndarray"]


@dataclass(frozen=True)
class Run:
    """A stored run. Tables are read at first use and kept; the folder is not watched for changes.

    Attributes:
        folder: the run's folder, which holds run.json.
        manifest: run.json: the request, protocol, clips, methods, metrics, environment and outcomes.
        edited: files of the run that are not as it wrote them; empty unless that was accepted.
    """

    folder: Path
    manifest: Manifest
    edited: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: Path, accept_edited: bool = False) -> Self:
        """Open the run in `folder`.

        `accept_edited`: read it although run.json, scores.csv or timings.csv is not as the run wrote it; `edited` then
        names these files, and every table says so.

        Raises:
            UsageError: the folder holds no run, or one of a newer schema.
            DamagedError: run.json is damaged, or one of the files was edited.
        """
        run = cls(folder, Store(folder).read_manifest(), digests.edited(folder))
        if run.edited and not accept_edited:
            raise DamagedError(
                f"{folder / run.edited[0]}: changed since the run wrote it: its sha256 is not the one in "
                f"{folder / digests.PLACE}. The same run command writes it again from parts/; "
                "'report' and 'compare' read it as it is, and mark it, with --accept-edited."
            )
        return run

    @property
    def store(self) -> Store:
        """The folder as a store."""
        return Store(self.folder)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """scores.csv as a DataFrame, one row a value.

        Columns: method, dataset, clip, frame (str; "" for a metric with one value a clip), metric (str) and value
        (float64 in the metric's unit; inf possible, NaN never).

        Raises:
            UsageError: the file is missing, cut short or not a scores.csv.
        """
        return self._read_table("scores.csv", SCORES, "value")

    @cached_property
    def timings(self) -> pd.DataFrame:
        """timings.csv as a DataFrame, one row a restored frame.

        Columns: method, dataset, clip, frame (str), seconds (float64: restoring alone, synchronised) and warmup (bool:
        left out of all statistics).

        Raises:
            UsageError: the file is missing, cut short or not a timings.csv.
        """
        table = self._read_table("timings.csv", TIMINGS, "seconds")
        table["warmup"] = table["warmup"].astype(str) == "1"
        return table

    def values(self, method: str, metric: str) -> pd.Series:
        """All values of one metric of one method, in the order of scores.csv.

        Args:
            method: a method's id as in the tables, such as "srn:rgb".
            metric: a metric's id, such as "psnr".

        Returns:
            float64 values in the metric's unit (inf possible, NaN never), indexed by (clip, frame); the frame is "" for
            a metric with one value a clip. Empty where the method was not scored by the metric.

        Raises:
            UsageError: the run has no such method or metric, or scores.csv is damaged.
        """
        import pandas as pd

        self._check_names(method, metric)
        by_clip = self.values_by_clip(method, metric)
        if not by_clip:
            return pd.Series([], index=pd.MultiIndex.from_tuples([], names=["clip", "frame"]), dtype=float)
        return pd.concat(by_clip, names=["clip", "frame"])

    def values_by_clip(self, method: str, metric: str) -> dict[str, pd.Series]:
        """As `values`, as clip -> values indexed by frame; empty where the run has no such method, metric or value."""
        import pandas as pd

        columns = self._columns
        return {
            clip: pd.Series(columns["value"][rows], index=pd.Index(columns["frame"][rows], name="frame"), name="value")
            for clip, rows in self._groups.get((method, metric), {}).items()
        }

    def seconds(self, method: str) -> pd.Series:
        """Restore times of a method in seconds per frame without warm-up frames, indexed by (clip, frame).

        Raises:
            UsageError: timings.csv is missing or damaged.
        """
        timings = self.timings
        rows = timings[(timings["method"] == method) & ~timings["warmup"]]
        return rows.set_index(["clip", "frame"])["seconds"]

    def frames(self, method: str, clip: str) -> dict[str, Path]:
        """Saved PNGs of a method's restored frames of a clip by stem, in order; empty where none were saved.

        The blurry input's are those of the method `identity`.
        """
        folder = self.store.frames_folder(method, clip)
        return {file.stem: file for file in sorted(folder.glob("*.png"))} if folder.is_dir() else {}

    def ground_truth_frames(self, clip: str) -> dict[str, Path]:
        """Saved PNGs of a clip's ground truth by stem, in order; empty where none were saved."""
        return self.frames(GROUND_TRUTH, clip)

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return {name: self.scores[name].to_numpy() for name in ("frame", "value")}

    @cached_property
    def _groups(self) -> dict[tuple[str, str], dict[str, np.ndarray]]:
        """(method, metric) -> clip -> positions of its rows in scores.csv, all in the file's order."""
        import numpy as np

        groups: dict[tuple[str, str], dict[str, np.ndarray]] = {}
        positions = self.scores.groupby(["method", "metric", "clip"], sort=False).indices
        for method, metric, clip in self.scores[["method", "metric", "clip"]].drop_duplicates().itertuples(index=False):
            groups.setdefault((method, metric), {})[clip] = np.asarray(positions[method, metric, clip])
        return groups

    def _check_names(self, method: str, metric: str) -> None:
        for kind, name, records in (
            ("method", method, self.manifest.methods),
            ("metric", metric, self.manifest.metrics),
        ):
            known = [record.id for record in records]
            if name not in known:
                raise UsageError(f"{self.folder}: no {kind} {name!r} in this run. {did_you_mean(name, known)}")

    def _read_table(self, name: str, columns: tuple[str, ...], number: str) -> pd.DataFrame:
        import pandas as pd

        file = self.folder / name
        try:
            if not file.read_bytes().endswith(b"\n"):
                raise ValueError("its last line is cut")
            table = pd.read_csv(file, dtype=str, keep_default_na=False)
            if tuple(table.columns) != columns:
                raise ValueError(f"columns are {', '.join(table.columns)}; expected {', '.join(columns)}")
            table[number] = table[number].map(_number).astype(float)  # of an empty table, too
        except (OSError, ValueError, pd.errors.ParserError) as error:
            raise UsageError(
                f"{file}: missing, cut short or damaged ({error}). The same run command writes it again from parts/."
            ) from error
        return table


def _number(text: str) -> float:
    value = float(text)
    if math.isnan(value):
        raise ValueError("a value is NaN")
    return value
