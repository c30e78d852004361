"""A run's record as it grows: the manifest, the parts that count, and the tables made of them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from deblurbench import __version__, provenance
from deblurbench.datasets.selection import PlannedClip
from deblurbench.errors import DamagedError, MissingError
from deblurbench.evaluation import RESULTS_VERSION
from deblurbench.evaluation.execution.events import Ready
from deblurbench.evaluation.plan import Plan
from deblurbench.evaluation.progress import Listener
from deblurbench.evaluation.saved_frames import FrameKeeper
from deblurbench.evaluation.survey import Work
from deblurbench.provenance import file_sha256
from deblurbench.registry.discovery import plugin
from deblurbench.results.manifest import Manifest, MethodRecord, Outcome, run_warnings
from deblurbench.results.store import Part, Store


class RunRecord:
    """The manifest and the parts of one call of `run`, and the folder where they are written."""

    def __init__(
        self, plan: Plan, store: Store, command: str, listener: Listener, works: list[Work], timeout: float = 900.0
    ) -> None:
        self.plan, self.store = plan, store
        self.parts: dict[tuple[str, str], Part] = {}
        self.devices: list[str] = []
        self.frame_keeper = FrameKeeper(plan, store)
        self.frame_keeper.resume(work.part for work in works if work.part)
        unchanged = all(work.state in ("cached", "problem") for work in works)
        self.manifest = new_manifest(plan, command, earlier_manifest(store, listener), unchanged, timeout)
        for work in works:
            if work.part:
                self.keep(work.part)

    def keep(self, part: Part) -> None:
        """Take a part into the tables."""
        self.parts[part.outcome.method, part.outcome.clip] = part
        for record in self.manifest.methods:
            if record.id == part.outcome.method:
                record.caveat = joined(record.caveat, part.caveat)
        self.note(part.outcome)

    def note(self, outcome: Outcome) -> None:
        """Set how a method ended on a clip."""
        for clip in self.manifest.clips:
            if clip.name == outcome.clip and outcome.ground_truth_sha256:
                clip.ground_truth_sha256 = outcome.ground_truth_sha256
        same = (outcome.method, outcome.clip)
        self.manifest.outcomes = [o for o in self.manifest.outcomes if (o.method, o.clip) != same] + [outcome]

    def ready(self, method: str, ready: Ready) -> None:
        """Record what a worker reported of a loaded method.

        Raises:
            MissingError: a metric can no longer be computed, but was for a part of the run.
        """
        self._refuse_half(ready.absent)
        if not self.devices:  # what a plugin changes of it stands in that method's caveat
            self.manifest.environment["runtime"] = ready.runtime
        self.devices += [ready.device] if ready.device not in self.devices else []
        self.manifest.device = "; ".join(sorted(self.devices))
        for record in self.manifest.methods:
            if record.id == method:
                caveats = [part.caveat for (its, _), part in self.parts.items() if its == method]
                record.parameters, record.caveat = ready.parameters, joined(ready.caveat, *caveats)
                record.environment |= ready.environment
                record.random_weights = record.random_weights or ready.random
        for column, planned in zip(self.manifest.metrics, self.plan.metrics, strict=True):
            column.absent = planned.absent or ready.absent.get(column.id)
            column.implementation = ready.implementations.get(column.id, "")

    def _refuse_half(self, absent: Mapping[str, str]) -> None:
        """A column that was computed for a part of the run only would be neither complete nor absent."""
        computed = {name for part in self.parts.values() for _, name, _ in part.scores}
        for name in sorted(computed & absent.keys()):
            raise MissingError(
                f"{name} was computed for what this run already holds, and cannot be for the rest: {absent[name]} "
                "Mend that and ask again, or start over with --fresh."
            )

    def settle(self, clip: PlannedClip) -> None:
        """Where all methods ended on a clip, choose the frames to show and drop the other candidates."""
        name = clip.clip.name
        if any(self.manifest.outcome(method.id, name).status == "pending" for method in self.plan.methods):
            return
        parts = {method.id: self.parts.get((method.id, name)) for method in self.plan.methods}
        good = {method: part for method, part in parts.items() if part and part.outcome.status == "ok"}
        choice = self.frame_keeper.settle(clip, good)
        for record in self.manifest.clips:
            if record.name == name:
                record.choice = choice

    def write(self) -> None:
        """Write run.json, scores.csv and timings.csv as they now stand."""
        order = {m.id: i for i, m in enumerate(self.manifest.methods)}
        clips = {c.name: i for i, c in enumerate(self.manifest.clips)}
        self.manifest.outcomes.sort(key=lambda o: (order[o.method], clips[o.clip]))
        self.manifest.warnings = [*self.plan.notes, *run_warnings(self.manifest.outcomes)]
        self.store.write_manifest(self.manifest)
        self.store.write_tables(self.manifest, self.parts.values())


def new_manifest(plan: Plan, command: str, old: Manifest | None, unchanged: bool, timeout: float) -> Manifest:
    """The manifest of a plan; `unchanged`: nothing is computed, so what produced the old one stays."""
    produced = old if unchanged else None
    return Manifest(
        deblurbench=produced.deblurbench if produced else __version__,
        results_version=RESULTS_VERSION,
        command=command or "deblurbench run (from Python)",
        created=old.created if old else now(),
        request=plan.request,
        dataset=plan.protocol.name,
        dataset_title=plan.dataset.card.title,
        dataset_card_sha256=file_sha256(plugin("datasets", plan.dataset.card.name).folder / "card.yaml"),
        protocol=plan.protocol,
        protocol_digest=plan.protocol.digest(),
        split=plan.split,
        data_root=plan.root,
        layout=plan.layout,
        coverage=plan.coverage,
        partial=plan.partial,
        clips=[clip.record() for clip in plan.clips],
        methods=[_as_before(method.record(), old) for method in plan.methods],
        metrics=[m if m.absent else m.model_copy(update=_as_computed(old, m.id)) for m in plan.metrics],
        device=old.device if old else plan.request.device,
        precision=plan.request.precision,
        tile=plan.request.tile,
        timeout=timeout,
        environment=produced.environment if produced else provenance.environment() | _runtime(old),
        warnings=list(plan.notes),
        invalidated=old.invalidated if old else None,
    )


def earlier_manifest(store: Store, listener: Listener) -> Manifest | None:
    """The manifest in the folder; a damaged one is set aside, since the parts hold all that was computed."""
    if not (store.folder / "run.json").is_file():
        return None
    try:
        return store.read_manifest()
    except DamagedError as error:
        store.set_manifest_aside()
        listener.say(f"{error} It is kept as run.json.damaged.")
        return None


def _as_before(record: MethodRecord, old: Manifest | None) -> MethodRecord:
    """The record with what a worker reported before, as long as code and weights are the same."""
    for before in old.methods if old else []:
        same = ("id", "code_sha256", "weights_sha256")
        if all(getattr(before, name) == getattr(record, name) for name in same):
            reported = {name: getattr(before, name) for name in ("parameters", "caveat", "random_weights")}
            environment = before.environment | record.environment if record.environment else {}
            return record.model_copy(update={**reported, "environment": environment})
    return record


def joined(*caveats: str) -> str:
    """Caveats as one, each once; those that are joined already are taken apart."""
    return "; ".join(dict.fromkeys(filter(None, "; ".join(caveats).split("; "))))


def _runtime(old: Manifest | None) -> dict[str, Any]:
    """What a worker reported before of its runtime, for a run of which nothing is missing."""
    return {"runtime": old.environment["runtime"]} if old and "runtime" in old.environment else {}


def _as_computed(old: Manifest | None, name: str) -> dict[str, str | None]:
    """What a worker reported before of a metric: why it is absent, and what computed it."""
    for record in old.metrics if old else []:
        if record.id == name:
            return {"absent": record.absent, "implementation": record.implementation}
    return {}


def now() -> str:
    """The time, in UTC, as run.json has it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
