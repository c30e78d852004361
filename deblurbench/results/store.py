"""Runs on disk.

    OUTPUT/run.json                       the manifest (deblurbench.results.manifest)
    OUTPUT/scores.csv, timings.csv        long form, sorted; written from the parts
    OUTPUT/parts/<method>/<clip>.json     one atomic record a method x clip: what resuming trusts
    OUTPUT/parts/digests                  of the three files above (deblurbench.results.digests)
    OUTPUT/frames/<method>/<clip>/*.png   restored frames, as scored
    OUTPUT/logs/<method>.log              what the worker printed

A part is written last, by rename: an interrupted clip leaves nothing that counts.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deblurbench.errors import DamagedError, UsageError
from deblurbench.frames.files import write_atomically
from deblurbench.registry.documents import DocumentError, parse_json, read_json, read_text
from deblurbench.results import digests
from deblurbench.results.manifest import SCHEMA, Choice, Manifest, Outcome
from deblurbench.text import natural_key

SCORES = ("method", "dataset", "clip", "frame", "metric", "value")
GROUND_TRUTH = "_ground-truth"
TIMINGS = ("method", "dataset", "clip", "frame", "seconds", "warmup")


def folder_name(name: str) -> str:
    """A name as a folder: `:`, `@` and separators become `-`; a leading dot gets an underscore before it."""
    plain = re.sub(r"[:@/\\\0]", "-", name)
    return f"_{plain}" if plain.startswith(".") else plain


def in_runs(name: str, before: str = "") -> Path:
    """Where something is written by default: `runs/<before><date>-<name>`, so that tomorrow's is another."""
    return Path("runs") / f"{before}{datetime.date.today().isoformat()}-{name}"


@dataclass
class Part:
    """What one method did on one clip. `key` holds everything that decides the scores; another key means redo."""

    key: dict[str, Any]
    outcome: Outcome
    scores: list[tuple[str, str, float]] = field(default_factory=list)  # (frame or "", metric id, value)
    timings: list[tuple[str, float, bool]] = field(default_factory=list)  # (frame, seconds, warm-up)
    saved: list[str] = field(default_factory=list)  # stems of the PNGs kept
    choice: Choice | None = None  # why these, once all methods of the run ended on the clip; the same in all its parts
    caveat: str = ""  # shown below every table: how this clip was restored

    def to_json(self) -> str:
        """JSON with floats as repr strings, so that inf and every bit survive."""
        body = {
            "key": self.key,
            "outcome": self.outcome.model_dump(),
            "scores": [[frame, metric, repr(value)] for frame, metric, value in self.scores],
            "timings": [[frame, repr(seconds), warmup] for frame, seconds, warmup in self.timings],
            "saved": self.saved,
            "choice": self.choice.model_dump() if self.choice else None,
            "caveat": self.caveat,
        }
        text = json.dumps(body, indent=1)
        return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "part": text})

    @classmethod
    def from_json(cls, text: str) -> Part:
        """Read a part back.

        Raises:
            DocumentError, ValueError: the record is damaged (its checksum does not fit).
        """
        outer = parse_json(text)
        if hashlib.sha256(outer["part"].encode()).hexdigest() != outer["sha256"]:
            raise ValueError("checksum does not fit")
        body = parse_json(outer["part"])
        return cls(
            body["key"],
            Outcome.model_validate(body["outcome"]),
            [(f, m, float(v)) for f, m, v in body["scores"]],
            [(f, float(s), bool(w)) for f, s, w in body["timings"]],
            list(body["saved"]),
            Choice.model_validate(body["choice"]) if body.get("choice") else None,
            str(body.get("caveat", "")),
        )


class Store:
    """A run's folder, for writing and for reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lines: dict[tuple[str, str], tuple[Part, str, str]] = {}

    def part_file(self, method: str, clip: str) -> Path:
        """Where the part of a method x clip lies."""
        return self.folder / "parts" / folder_name(method) / f"{folder_name(clip)}.json"

    def frames_folder(self, method: str, clip: str) -> Path:
        """Where the restored frames of a method x clip lie."""
        return self.folder / "frames" / folder_name(method) / folder_name(clip)

    def log_file(self, method: str) -> Path:
        """Where a method's worker's output goes."""
        return self.folder / "logs" / f"{folder_name(method)}.log"

    def write_part(self, part: Part) -> None:
        """Commit a part, atomically."""
        file = self.part_file(part.outcome.method, part.outcome.clip)
        write_atomically(file, part.to_json().encode())

    def read_part(self, method: str, clip: str) -> Part | None:
        """The part of a method x clip; None where there is none. A damaged one is kept aside and counts as none."""
        try:
            return self.look_at_part(method, clip)
        except DamagedError:
            self.set_part_aside(method, clip)
            return None

    def look_at_part(self, method: str, clip: str) -> Part | None:
        """The part of a method x clip, and nothing is written; None where there is none.

        Raises:
            DamagedError: the record is damaged.
        """
        file = self.part_file(method, clip)
        if not file.is_file():
            return None
        try:
            return Part.from_json(read_text(file))
        except (DocumentError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(f"{file}: damaged record ({type(error).__name__}: {error})") from error

    def set_part_aside(self, method: str, clip: str) -> None:
        """Rename a damaged part to CLIP.damaged, so that the new one does not take its place unseen."""
        file = self.part_file(method, clip)
        file.replace(file.with_suffix(".damaged"))

    def write_manifest(self, manifest: Manifest) -> None:
        """Write run.json atomically."""
        self._write({"run.json": (manifest.model_dump_json(indent=2) + "\n").encode()})

    def read_manifest(self) -> Manifest:
        """Read run.json.

        Raises:
            UsageError: no run here, or a newer schema than this version reads.
            DamagedError: the file is damaged.
        """
        file = self.folder / "run.json"
        if not file.is_file():
            raise UsageError(f"{self.folder}: no run here (run.json is missing). Name the --output folder of a run.")
        try:
            raw = read_json(file)
            newer = raw.get("schema_version", 0) > SCHEMA
            if newer:
                raise UsageError(
                    f"{file}: schema version {raw['schema_version']}, this deblurbench reads up to {SCHEMA}. Update it."
                )
            return Manifest.model_validate(raw)
        except (DocumentError, ValueError, TypeError, AttributeError) as error:
            raise DamagedError(
                f"{file}: damaged or not a run.json ({_reason(error)}). "
                "The run's command writes it again; what lies in parts/ is kept."
            ) from error

    def set_manifest_aside(self) -> None:
        """Rename a damaged run.json to run.json.damaged, so that a new one can be written."""
        file = self.folder / "run.json"
        file.replace(file.with_name("run.json.damaged"))

    def write_tables(self, manifest: Manifest, parts: Iterable[Part]) -> None:
        """Write scores.csv and timings.csv from the parts: sorted, byte for byte the same for the same parts."""
        order = {method.id: position for position, method in enumerate(manifest.methods)}
        places = sorted(parts, key=lambda p: (order.get(p.outcome.method, 0), natural_key(p.outcome.clip)))
        lines = [self._lines_of(part, manifest.dataset) for part in places]
        tables = {
            "scores.csv": [_csv([SCORES]), *(scores for scores, _ in lines)],
            "timings.csv": [_csv([TIMINGS]), *(timings for _, timings in lines)],
        }
        self._write({name: "".join(texts).encode() for name, texts in tables.items()})

    def _write(self, contents: Mapping[str, bytes]) -> None:
        """Write files of the run's folder atomically, their digests first."""
        digests.record(self.folder, contents)
        for name, content in contents.items():
            write_atomically(self.folder / name, content)

    def _lines_of(self, part: Part, dataset: str) -> tuple[str, str]:
        """A part's lines of scores.csv and timings.csv; kept, since the tables are written again and again."""
        key = (part.outcome.method, part.outcome.clip)
        known = self._lines.get(key)
        if known is None or known[0] is not part:
            row = (part.outcome.method, dataset, part.outcome.clip)
            scores = [(*row, frame, metric, repr(value)) for frame, metric, value in part.scores]
            timings = [(*row, frame, f"{seconds:.6f}", str(int(warmup))) for frame, seconds, warmup in part.timings]
            known = self._lines[key] = (part, _csv(_by_frame(scores)), _csv(_by_frame(timings)))
        return known[1], known[2]


def _reason(error: Exception) -> str:
    """The first fault of a record, with its key; the first line of any other error."""
    if not isinstance(error, ValidationError):
        return str(error).splitlines()[0]
    fault = error.errors()[0]
    value = "" if fault["type"] == "missing" else f", found {str(fault['input'])[:40]}"
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}{value}"


def _by_frame(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return sorted(rows, key=lambda row: (natural_key(row[3]), row[4:5]))


def _csv(rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def walk_parts(store: Store, manifest: Manifest) -> Iterator[Part]:
    """All parts of a run that are there, in the order of its methods and clips."""
    for method in manifest.methods:
        for clip in manifest.clips:
            part = store.read_part(method.id, clip.name)
            if part:
                yield part
