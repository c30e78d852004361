"""Runs over disjoint clips of one request, shards above all, as one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deblurbench.results.coverage import Coverage, joined
from deblurbench.results.manifest import Manifest, MethodRecord, Request, run_warnings
from deblurbench.results.run import Run
from deblurbench.text import natural_key, some

if TYPE_CHECKING:
    import pandas as pd

PLACES = {"clips", "limit", "shard", "partial", "data_root", "device"}
"""What pieces of one request may differ in: which clips, where the data lie, on which device of one kind."""


def device_kind(device: str) -> str:
    """`cuda` for `cuda:0` and for `cuda:0,cuda:1`: devices of one kind compute the same."""
    return ",".join(dict.fromkeys(name.partition(":")[0] for name in device.split(",")))


def difference(one: Manifest, other: Manifest) -> str:
    """Why two runs are no pieces of one request, `KEY: VALUE, not VALUE`; empty where they can be."""
    for name in ("deblurbench", "results_version", "protocol_digest", "split", "dataset_card_sha256"):
        if getattr(one, name) != getattr(other, name):
            return f"{name}: {getattr(one, name)}, not {getattr(other, name)}"
    first, second = _settings(one), _settings(other)
    for name, value in first.items():
        if value != second[name]:
            return f"{name}: {value}, not {second[name]}"
    return ""


def _settings(manifest: Manifest) -> dict[str, Any]:
    """What the pieces of one request have in common, by name."""
    request = manifest.request
    return {
        **{name: getattr(request, name) for name in Request.model_fields if name not in PLACES},
        "device": device_kind(request.device),
        "shards": request.shard.partition("/")[2] if request.shard else None,
        "code of the methods": {method.id: method.code_sha256 for method in manifest.methods},
        "weights": {method.id: method.weights_sha256 for method in manifest.methods},
        "versions of the metrics": {metric.id: metric.version for metric in manifest.metrics},
        "metrics that could not be computed": sorted(metric.id for metric in manifest.metrics if metric.absent),
    }


def overlap(one: Manifest, other: Manifest) -> list[str]:
    """The clips that two runs have in common."""
    names = {clip.name for clip in one.clips}
    return [clip.name for clip in other.clips if clip.name in names]


def missing_shards(manifests: Sequence[Manifest]) -> list[str]:
    """Shards, `I/N`, that are not among the runs; none where a run is no shard."""
    shards = {manifest.request.shard for manifest in manifests}
    count = next((int(shard.partition("/")[2]) for shard in shards if shard), 0)
    if None in shards:
        return []
    return [f"{number}/{count}" for number in range(1, count + 1) if f"{number}/{count}" not in shards]


def join_manifests(pieces: Sequence[Manifest]) -> Manifest:
    """One manifest of several that `difference` and `overlap` accept. The metrics and the protocol are the first's."""
    first = pieces[0]
    coverage = joined([Coverage.read(piece.coverage) for piece in pieces])
    notes = [text for piece in pieces for text in piece.warnings if text not in run_warnings(piece.outcomes)]
    outcomes = [outcome for piece in pieces for outcome in piece.outcomes]
    finished = [piece.finished for piece in pieces]
    return first.model_copy(
        update={
            "request": _joined_request(pieces),
            "coverage": str(coverage),
            "partial": first.split != first.protocol.split or not coverage.is_whole,
            "clips": sorted((clip for piece in pieces for clip in piece.clips), key=lambda c: natural_key(c.name)),
            "methods": [_joined_method([piece.methods[at] for piece in pieces]) for at in range(len(first.methods))],
            "device": "; ".join(dict.fromkeys(piece.device for piece in pieces)),
            "created": min(piece.created for piece in pieces),
            "finished": None if None in finished else max(filter(None, finished)),
            "outcomes": outcomes,
            "warnings": [*dict.fromkeys(notes), *run_warnings(outcomes)],
            "invalidated": "; ".join(piece.invalidated for piece in pieces if piece.invalidated) or None,
        }
    )


def _joined_request(pieces: Sequence[Manifest]) -> Request:
    """The request that the pieces answer together: the undivided one, or one that names all their clips."""
    requests = [piece.request for piece in pieces]
    names = [name for request in requests for name in request.device.split(",")]
    update: dict[str, Any] = {"shard": None, "device": ",".join(dict.fromkeys(names))}
    if len({(request.limit, tuple(request.clips or ()), bool(request.shard)) for request in requests}) > 1:
        clips = sorted((clip.name for piece in pieces for clip in piece.clips), key=natural_key)
        update |= {"clips": clips, "limit": None}
    return requests[0].model_copy(update=update)


def _joined_method(records: Sequence[MethodRecord]) -> MethodRecord:
    caveats = dict.fromkeys(part for record in records for part in record.caveat.split("; ") if part)
    parameters = [record.parameters for record in records if record.parameters is not None]
    return records[0].model_copy(
        update={
            "caveat": "; ".join(caveats),
            "parameters": parameters[0] if parameters else None,
            "random_weights": any(record.random_weights for record in records),
        }
    )


@dataclass(frozen=True)
class JoinedRun(Run):
    """Several runs, read as one. `folder` only names it: the first one's, with the names of all."""

    pieces: tuple[Run, ...] = ()

    @classmethod
    def of(cls, runs: Sequence[Run]) -> JoinedRun:
        """Join runs that `difference` and `overlap` accept."""
        names = " + ".join(run.folder.resolve().name for run in runs)
        folder = runs[0].folder.resolve().with_name(names)
        edited = tuple(f"{run.folder.name}/{name}" for run in runs for name in run.edited)
        return cls(folder, join_manifests([run.manifest for run in runs]), edited, tuple(runs))

    @cached_property
    def scores(self) -> pd.DataFrame:
        """See Run: the pieces' rows in the order of one scores.csv."""
        return self._stacked([piece.scores for piece in self.pieces])

    @cached_property
    def timings(self) -> pd.DataFrame:
        """See Run."""
        return self._stacked([piece.timings for piece in self.pieces])

    def frames(self, method: str, clip: str) -> dict[str, Path]:
        """See Run: the frames lie in the folder of the piece that has the clip."""
        return next((frames for run in self.pieces if (frames := run.frames(method, clip))), {})

    def _stacked(self, tables: list[pd.DataFrame]) -> pd.DataFrame:
        import pandas as pd

        table = pd.concat(tables, ignore_index=True)
        methods = {method.id: at for at, method in enumerate(self.manifest.methods)}
        clips = {clip.name: at for at, clip in enumerate(self.manifest.clips)}
        place = [(methods[m], clips[c]) for m, c in zip(table["method"], table["clip"], strict=True)]
        order = sorted(range(len(place)), key=place.__getitem__)  # stable: frames stay in their order
        return table.iloc[order].reset_index(drop=True)


def open_joined(folders: Sequence[Path], accept_edited: bool = False) -> list[Run]:
    """Open runs for one table; the pieces of one request are read as one.

    Raises:
        UsageError: as `Run.open`.
    """
    return joined_runs([Run.open(folder, accept_edited) for folder in folders])


def joined_runs(runs: Sequence[Run]) -> list[Run]:
    """The runs with the pieces of one request joined, each group at the place of its first piece."""
    groups: list[list[Run]] = []
    for run in runs:
        fitting = [group for group in groups if _belongs(run, group)]
        if fitting:
            fitting[0].append(run)
        else:
            groups.append([run])
    return [group[0] if len(group) == 1 else JoinedRun.of(group) for group in groups]


def _belongs(run: Run, group: Sequence[Run]) -> bool:
    clips = any(overlap(piece.manifest, run.manifest) for piece in group)
    return not clips and not difference(group[0].manifest, run.manifest)


def refuse_unlike(runs: Sequence[Run]) -> str:
    """Why runs cannot be merged into one, naming two of them and what differs; empty where they can."""
    first = runs[0]
    for position, run in enumerate(runs):
        reason = difference(first.manifest, run.manifest)
        if reason:
            return f"{first.folder} and {run.folder} are no shards of one request: {reason}"
        for other in runs[:position]:
            common = overlap(other.manifest, run.manifest)
            if common:
                return f"{other.folder} and {run.folder} overlap: both hold {some(common)}"
    missing = missing_shards([run.manifest for run in runs])
    return f"missing: {'shard' if len(missing) == 1 else 'shards'} {', '.join(missing)}" if missing else ""
