"""docs/evidence/: the small files from which docs/training.md is made, and which are committed with it.

<method>-<variant>-<tag>.csv   a shipped weight file's training log, thinned; .svg its curves, drawn by the page
trainings.json                 how those weights were trained: what their cards do not hold
results.json                   clip means of the shipped weights, from stored runs
comparison.json                trainings on equal budgets, and clip means of theirs, from stored runs
blur.json                      how like real blur the synthesised clips are, from benchmarks/synthesis.py
claims.yaml                    by hand: what papers claim about variants, as pairs
photographs.yaml               by hand: the folders of photographs that were trained on, and the files' names
differences.md                 by hand: where our trainings differ from the papers', and why
tried.md                       by hand: what was tried on the way
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from deblurbench.analysis.statistics import clip_means
from deblurbench.errors import UsageError
from deblurbench.frames.files import write_atomically
from deblurbench.registry.cards import Frozen
from deblurbench.results.run import Run
from deblurbench.results.store import folder_name

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "evidence"
COLUMNS = ("step", "seconds", "loss", "input", "psnr", "identity", "pooled", "pooled_identity")
GATED = ("gate", "regularisation")  # further columns of `-reg` trainings, absent from the others' files
LINES = 150  # of a thinned log
TRAININGS, RESULTS, COMPARISON, BLUR = "trainings.json", "results.json", "comparison.json", "blur.json"
CLAIMS, PHOTOGRAPHS, DIFFERENCES, TRIED = "claims.yaml", "photographs.yaml", "differences.md", "tried.md"


@dataclass(frozen=True)
class Scored:
    """Clip means of one stored run: method -> metric -> clip -> value, and how many frames of a clip were scored.

    `weights` are the sha256 of the methods' weight files; what has none is not in it.
    """

    dataset: str
    protocol_digest: str
    coverage: str
    device: str
    precision: str
    frames: dict[str, int]
    metrics: dict[str, dict[str, Any]]
    values: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """One training of a comparison. `steps` were taken, `chosen` is the step whose weights validated best."""

    name: str
    method: str
    variant: str
    seed: int
    steps: int
    chosen: int
    hours: float
    minutes_asked: float | None
    device: str
    data: str
    commit: str
    started_from: dict[str, Any] | None
    resolved: dict[str, Any]
    sha256: str


@dataclass(frozen=True)
class Comparison:
    """Trainings that claims are tested with, and the runs that scored them; there a method's name is a training's."""

    trainings: list[Trained] = field(default_factory=list)
    runs: list[Scored] = field(default_factory=list)


class Claim(Frozen):
    """What a paper claims: in each pair, the first variant (method:variant) is better than the second."""

    claim: str
    source: str
    pairs: tuple[tuple[str, str], ...]


def weights_name(method: str, variant: str, tag: str) -> str:
    """What the files of a shipped weight file are called."""
    return folder_name(f"{method}-{variant}-{tag}")


def scored(run: Run, names: Mapping[str, str]) -> Scored:
    """The clip means of a run's methods, under other names: `names` maps their ids; what is not in it is left out.

    Raises:
        UsageError: one of the methods is not complete.
    """
    manifest = run.manifest
    for identifier in names:
        state, reason = manifest.state(identifier)
        if state != "ok":
            raise UsageError(f"{run.folder}: {identifier} is {state} there ({reason}). Complete the run first.")
    metrics = {m.id: m for m in manifest.metrics if not m.absent}
    return Scored(
        dataset=manifest.dataset,
        protocol_digest=manifest.protocol_digest,
        coverage=manifest.coverage,
        device=manifest.device,
        precision=manifest.precision,
        frames={clip.name: len(clip.scored) for clip in manifest.clips},
        metrics={
            m.id: {"unit": m.unit, "decimals": m.decimals, "higher_is_better": m.higher_is_better}
            for m in metrics.values()
        },
        values={
            name: {m: {c: round(v, 6) for c, v in clip_means(run, identifier, m).items()} for m in metrics}
            for identifier, name in names.items()
        },
        weights={names[m.id]: m.weights_sha256 for m in manifest.methods if m.id in names and m.weights_sha256},
    )


def joined(parts: Sequence[Scored]) -> list[Scored]:
    """Runs of the same frames, with the same values of what both scored, as one; it names all their devices.

    A metric that only one of them has stays: the other's methods then have no value of it.
    """
    found: list[Scored] = []
    for part in parts:
        same = next((i for i, other in enumerate(found) if _fit(other, part)), None)
        if same is None:
            found.append(part)
            continue
        other = found[same]
        devices = "; ".join(dict.fromkeys([*other.device.split("; "), part.device]))
        values = {name: other.values.get(name, {}) | part.values.get(name, {}) for name in other.values | part.values}
        found[same] = replace(
            other, values=values, metrics=other.metrics | part.metrics, weights=other.weights | part.weights,
            device=devices,
        )  # fmt: skip
    return found


def _fit(one: Scored, two: Scored) -> bool:
    alike = ("dataset", "protocol_digest", "coverage", "precision", "frames")
    return (
        all(getattr(one, name) == getattr(two, name) for name in alike)
        and _agree(one.metrics, two.metrics)
        and all(_agree(one.values[name], two.values[name]) for name in one.values.keys() & two.values.keys())
    )


def _agree(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return all(one[key] == two[key] for key in one.keys() & two.keys())


def thinned(rows: Sequence[Mapping[str, Any]], lines: int = LINES) -> list[dict[str, Any]]:
    """A log of at most about `lines` training lines, each the mean of as many; validations are kept whole.

    The first three steps, which stand alone in a log, are left out of a longer one.
    """
    steps = [row for row in rows if "loss" in row]
    steps = [row for row in steps if row["step"] > 3] or steps
    size = max(1, -(-len(steps) // lines))
    groups = [steps[at : at + size] for at in range(0, len(steps), size)]
    checks = [dict(row) for row in rows if "pooled" in row]
    return sorted([*map(_mean, groups), *checks], key=lambda row: row["step"])


def _mean(group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    keys = [key for key in ("loss", "input", *GATED) if all(key in row for row in group)]
    means = {key: float(f"{sum(row[key] for row in group) / len(group):.6g}") for key in keys}
    return {"step": group[-1]["step"], "seconds": group[-1].get("seconds", ""), **means}


def write_curve(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Write a thinned log as CSV; a validation's line has no loss, a training line no PSNR."""
    text = io.StringIO(newline="")
    columns = (*COLUMNS, *(key for key in GATED if any(key in row for row in rows)))
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(file, text.getvalue().encode())


def read_curve(file: Path) -> list[dict[str, Any]]:
    """Undo `write_curve`: records as a log has them."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(stream)]
    return [{**row, "step": int(row["step"])} for row in rows]


def write_json(content: Any, file: Path) -> None:
    """Write JSON as it is committed: sorted, indented, a newline at the end."""
    write_atomically(file, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def read_json(file: Path, otherwise: Any) -> Any:
    """A JSON file of the folder, or `otherwise` where there is none yet.

    Raises:
        UsageError: it is damaged.
    """
    if not file.is_file():
        return otherwise
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{file}: damaged ({error}). Restore it, or write it anew with its command.") from error


def read_results(folder: Path) -> list[Scored]:
    """Clip means of the shipped weights; methods are `identity` and the weights' names."""
    return [Scored(**raw) for raw in read_json(folder / RESULTS, [])]


def read_comparison(folder: Path) -> Comparison:
    """The trainings on equal budgets."""
    raw = read_json(folder / COMPARISON, {"trainings": [], "runs": []})
    return Comparison([Trained(**t) for t in raw["trainings"]], [Scored(**r) for r in raw["runs"]])


def write_comparison(found: Comparison, folder: Path) -> None:
    """Write comparison.json."""
    write_json(asdict(found), folder / COMPARISON)


def read_claims(folder: Path) -> list[Claim]:
    """The claims to be tested.

    Raises:
        UsageError: claims.yaml has another form.
    """
    file = folder / CLAIMS
    raw = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else []
    try:
        return [Claim.model_validate(entry) for entry in raw]
    except ValidationError as error:
        raise UsageError(f"{file}: {error}") from error
