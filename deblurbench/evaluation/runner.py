"""Run methods over a dataset: what is done is kept, what is missing is done, a failure costs its own row only."""

from __future__ import annotations

import contextlib
import datetime
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deblurbench import __version__, provenance
from deblurbench.backends.failures import describe_failure, tile_to_try
from deblurbench.backends.load import MethodJob
from deblurbench.datasets.selection import PlannedClip
from deblurbench.errors import DamagedError, DiskError, MissingError
from deblurbench.evaluation import RESULTS_VERSION
from deblurbench.evaluation.evaluator import Bench
from deblurbench.evaluation.jobs import ClipJob
from deblurbench.evaluation.plan import Plan, PlannedMethod
from deblurbench.evaluation.progress import Listener
from deblurbench.evaluation.saved_frames import FrameKeeper
from deblurbench.evaluation.supervisor import Worker, WorkerLost
from deblurbench.evaluation.survey import DAMAGED, Work, lines_of_stale, survey
from deblurbench.provenance import file_sha256
from deblurbench.registry.cards import IDENTITY
from deblurbench.registry.discovery import plugin
from deblurbench.results.lock import check_folder, claim
from deblurbench.results.manifest import MIXED, Manifest, MethodRecord, Outcome, is_mixed
from deblurbench.results.store import Part, Store

POISONED = ("CUDA error", "CUBLAS_STATUS", "cuBLAS", "CUDNN_STATUS", "cuDNN error")
"""Words of errors that leave a process unable to use its GPU."""


@dataclass
class RunResult:
    """A finished run."""

    folder: Path
    manifest: Manifest
    failed: list[Outcome] = field(default_factory=list)


def run(
    plan: Plan,
    folder: Path,
    *,
    command: str = "",
    fresh: bool = False,
    in_process: bool = False,
    timeout: float = 900.0,
    listener: Listener | None = None,
) -> RunResult:
    """Do what is missing of a plan in `folder`, and write run.json, scores.csv and timings.csv.

    Raises:
        UsageError: the folder holds another request's run.
        DiskError: the disk is full; what was finished is kept.
        KeyboardInterrupt: passed on, after the workers are ended; the same command resumes.
    """
    with claim(folder):
        check_folder(folder, plan.request, fresh)
        session = _Session(plan, Store(folder.absolute()), command, listener or Listener(), in_process, timeout)
        session.run()
    failed = [outcome for outcome in session.manifest.outcomes if outcome.status == "failed"]
    return RunResult(folder, session.manifest, failed)


class _Session:
    """One call of `run`: the manifest as it grows, and the parts that count."""

    def __init__(
        self, plan: Plan, store: Store, command: str, listener: Listener, in_process: bool, timeout: float
    ) -> None:
        self.plan, self.store, self.listener = plan, store, listener
        self.in_process, self.timeout = in_process, timeout
        self.work = survey(plan, store)
        self.parts: dict[tuple[str, str], Part] = {}
        self.greeted = False
        self.frame_keeper = FrameKeeper(plan, store)
        self.frame_keeper.resume(work.part for work in self.work if work.part)
        self.manifest = self._manifest(command)

    def _manifest(self, command: str) -> Manifest:
        plan = self.plan
        old = self._before()
        told = old if old and all(work.state in ("cached", "problem") for work in self.work) else None
        return Manifest(
            deblurbench=told.deblurbench if told else __version__,
            results_version=RESULTS_VERSION,
            command=command or "deblurbench run (from Python)",
            created=old.created if old else _now(),
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
            environment=told.environment if told else provenance.environment() | _runtime(old),
            warnings=list(plan.notes),
            invalidated=old.invalidated if old else None,
        )

    def _before(self) -> Manifest | None:
        """The manifest that is there; a damaged one is kept aside, since the parts hold all that was computed."""
        if not (self.store.folder / "run.json").is_file():
            return None
        try:
            return self.store.read_manifest()
        except DamagedError as error:
            self.store.set_manifest_aside()
            self.listener.say(f"{error} It is kept as run.json.damaged.")
            return None

    def run(self) -> None:
        """Do what is missing; whatever happens, the manifest and the tables are left as they then stand."""
        for work in self.work:
            if work.part:
                self._keep(work.part)
            elif work.state == "problem":
                outcome = Outcome(
                    method=work.method.id, clip=work.clip.clip.name, status="failed", kind="corrupt input",
                    reason=work.why,
                )  # fmt: skip
                self._note(outcome)
                if work.method.id == IDENTITY:  # once a clip is enough: it is no method's fault
                    self.listener.outcome(outcome)
        pending = [work for work in self.work if work.state in ("new", "stale", "retry")]
        total = sum(len(work.clip.clip) for work in pending)
        self.listener.begin(total, sum(len(w.clip.clip) for w in self.work if w.state == "cached"))
        for work in pending:
            if work.why == DAMAGED:
                self.store.set_part_aside(work.method.id, work.clip.clip.name)
        for line in lines_of_stale(pending):
            self.listener.say(line)
        try:
            for clip in self.plan.clips:
                self._settle(clip)
            self._write()
            for method in self.plan.methods:
                mine = [work for work in pending if work.method is method]
                if mine:
                    here = self.in_process or method.plugin.in_process
                    (self._in_process if here else self._by_worker)(method, mine)
            self.manifest.finished = _now()
        finally:
            self._write()

    def _by_worker(self, method: PlannedMethod, works: list[Work], tile: int | None = None) -> None:
        worker: Worker | None = None
        try:
            for work in works:
                self.listener.clip(method.id, work.clip.clip.name, len(work.clip.clip))
                try:
                    if worker is None:
                        worker = Worker(self._method_job(method, tile), self.store.log_file(method.id), self.timeout)
                        hello = worker.hello()
                        if hello["event"] == "broken":
                            worker.kill()
                            self._broken(works[works.index(work) :], hello)
                            return
                        self._hello(method, hello)
                    worker.start(self._clip_job(work))
                    self._follow(worker, method, work)
                    again = self._tile_to_try(work) if tile is None else None
                    if again or self._is_poisoned(work):
                        worker.kill()  # it holds the memory, or a GPU context in which nothing works any more
                        worker = None
                    if again:
                        self._again(self._by_worker, work, again)
                except WorkerLost as lost:
                    self._failed(work, lost.kind, str(lost))
                    if worker:
                        worker.kill()
                    worker = None
        except BaseException:  # Ctrl-C, a full disk: no worker stays behind
            if worker:
                worker.kill()
            raise
        if worker:
            worker.close()

    def _follow(self, worker: Worker, method: PlannedMethod, work: Work) -> None:
        """Listen to a worker until its clip is done."""
        clip = work.clip.clip.name
        while True:
            event = worker.next_event()
            if event["event"] == "frame":
                self.listener.frame(method.id, clip, event["stem"])
            elif event["event"] == "disk":
                raise DiskError(event["reason"])
            elif event["event"] == "done":
                self._done(work)
                return

    def _in_process(self, method: PlannedMethod, works: list[Work], tile: int | None = None) -> None:
        with contextlib.chdir("."), contextlib.redirect_stdout(sys.stderr):  # as a worker's: its own, and not our data
            try:
                bench = Bench(self._method_job(method, tile))
            except (Exception, SystemExit) as error:  # any failure to get a method ready costs its own row only
                self._broken(works, describe_failure(error))
                return
            self._hello(method, bench.hello())
            for work in works:
                self._in_process_clip(bench, work)
                again = self._tile_to_try(work) if tile is None else None
                if again:
                    self._again(self._in_process, work, again)

    def _in_process_clip(self, bench: Bench, work: Work) -> None:
        method, clip = work.method.id, work.clip.clip
        self.listener.clip(method, clip.name, len(clip))
        bench.run(self._clip_job(work), lambda stem: self.listener.frame(method, clip.name, stem))
        self._done(work)

    def _done(self, work: Work) -> None:
        part = self.store.read_part(work.method.id, work.clip.clip.name)
        if part is None:
            self._failed(work, "left", "the worker said it was done, but its record is not there")
            return
        if self._tile_to_try(work, part):
            return
        self._keep(part)
        self.listener.outcome(part.outcome)
        self._settle(work.clip)
        self._write()

    def _tile_to_try(self, work: Work, part: Part | None = None) -> int | None:
        part = part or self.store.read_part(work.method.id, work.clip.clip.name)
        before = self.plan.request.tile or max(work.clip.size or (0,))
        return tile_to_try(part.outcome, work.method.needs, before) if part else None

    def _is_poisoned(self, work: Work) -> bool:
        """Whether a clip failed by an error after which a process can no longer use its GPU."""
        part = self.store.read_part(work.method.id, work.clip.clip.name)
        told = f"{part.outcome.reason}\n{part.outcome.traceback}" if part and part.outcome.status != "ok" else ""
        return any(word in told for word in POISONED)

    def _again(self, go: Callable[[PlannedMethod, list[Work], int], None], work: Work, tile: int) -> None:
        self.listener.say(f"{work.method.id} ran out of memory on {work.clip.clip.name}; again in tiles of {tile} px")
        go(work.method, [work], tile)

    def _failed(self, work: Work, kind: str, reason: str, traceback: str = "") -> None:
        outcome = Outcome(
            method=work.method.id, clip=work.clip.clip.name, status="failed", kind=kind, reason=reason,
            traceback=traceback,
        )  # fmt: skip
        self.store.write_part(Part(work.key, outcome))
        self._note(outcome)
        self.listener.outcome(outcome)
        self._settle(work.clip)
        self._write()

    def _broken(self, works: list[Work], event: dict[str, Any]) -> None:
        for work in works:
            self._failed(work, event["kind"], event["reason"], event.get("traceback", ""))

    def _hello(self, method: PlannedMethod, hello: dict[str, Any]) -> None:
        self._refuse_half(hello["absent"])
        self.manifest.device = hello["device"]
        if not self.greeted:  # what a plugin changes of it, its own row tells
            self.manifest.environment["runtime"] = hello["runtime"]
        self.greeted = True
        for record in self.manifest.methods:
            if record.id == method.id:
                told = [part.caveat for (its, _), part in self.parts.items() if its == method.id]
                record.parameters, record.caveat = hello["parameters"], joined(hello["caveat"], *told)
                record.environment |= hello["environment"]
                record.random_weights = record.random_weights or hello["random"]
        for column, planned in zip(self.manifest.metrics, self.plan.metrics, strict=True):
            column.absent = planned.absent or hello["absent"].get(column.id)
            column.implementation = hello["implementations"].get(column.id, "")

    def _refuse_half(self, absent: Mapping[str, str]) -> None:
        """A column that can be computed no longer, but was for a part of the run, would be neither there nor absent.

        Raises:
            MissingError: there is one.
        """
        there = {name for part in self.parts.values() for _, name, _ in part.scores}
        for name in sorted(there & absent.keys()):
            raise MissingError(
                f"{name} was computed for what this run already holds, and cannot be for the rest: {absent[name]} "
                "Mend that and ask again, or begin anew with --fresh."
            )

    def _keep(self, part: Part) -> None:
        self.parts[part.outcome.method, part.outcome.clip] = part
        for record in self.manifest.methods:
            if record.id == part.outcome.method:
                record.caveat = joined(record.caveat, part.caveat)
        self._note(part.outcome)

    def _note(self, outcome: Outcome) -> None:
        for clip in self.manifest.clips:
            if clip.name == outcome.clip and outcome.ground_truth_sha256:
                clip.ground_truth_sha256 = outcome.ground_truth_sha256
        same = (outcome.method, outcome.clip)
        self.manifest.outcomes = [o for o in self.manifest.outcomes if (o.method, o.clip) != same] + [outcome]

    def _settle(self, clip: PlannedClip) -> None:
        """Where all methods ended on a clip, choose the frames to show and drop the other candidates."""
        name = clip.clip.name
        if any(self.manifest.outcome(method.id, name).status == "pending" for method in self.plan.methods):
            return
        mine = {method: part for (method, its), part in self.parts.items() if its == name}
        good = {method: part for method, part in mine.items() if part.outcome.status == "ok"}
        choice = self.frame_keeper.settle(clip, good)
        for record in self.manifest.clips:
            if record.name == name:
                record.choice = choice

    def _write(self) -> None:
        order = {m.id: i for i, m in enumerate(self.manifest.methods)}
        clips = {c.name: i for i, c in enumerate(self.manifest.clips)}
        self.manifest.outcomes.sort(key=lambda o: (order[o.method], clips[o.clip]))
        self.manifest.warnings = [w for w in self.manifest.warnings if w != MIXED]
        if is_mixed(self.manifest.outcomes):
            self.manifest.warnings.append(MIXED)
        self.store.write_manifest(self.manifest)
        self.store.write_tables(self.manifest, self.parts.values())

    def _method_job(self, method: PlannedMethod, tile: int | None = None) -> MethodJob:
        request = self.plan.request
        return MethodJob(
            id=method.id,
            name=method.plugin.reference,
            variant=method.variant,
            weights=str(method.weights.file.resolve()) if method.weights else None,
            output=str(self.store.folder.resolve()),
            dataset=request.dataset,
            data_root=request.data_root,
            split=self.plan.split,
            metrics=[m.id for m in self.plan.metrics],
            device=request.device,
            precision=request.precision,
            tile=tile or request.tile,
            again=tile is not None,
            seed=request.seed,
            timeout=self.timeout,
            random_weights=request.random_weights,
        )

    def _clip_job(self, work: Work) -> ClipJob:
        return ClipJob(
            clip=work.clip.clip.name,
            frames=len(work.clip.clip),
            scored=list(work.clip.scored),
            saved=self.frame_keeper.to_save(work.clip),
            key=work.key,
        )


def _as_before(record: MethodRecord, old: Manifest | None) -> MethodRecord:
    """The record with what a worker told before, as long as code and weights are the same."""
    for before in old.methods if old else []:
        same = ("id", "code_sha256", "weights_sha256")
        if all(getattr(before, name) == getattr(record, name) for name in same):
            told = {name: getattr(before, name) for name in ("parameters", "caveat", "random_weights")}
            environment = before.environment | record.environment if record.environment else {}
            return record.model_copy(update={**told, "environment": environment})
    return record


def joined(*caveats: str) -> str:
    """Caveats as one, each once; those that are joined already are taken apart."""
    return "; ".join(dict.fromkeys(filter(None, "; ".join(caveats).split("; "))))


def _runtime(old: Manifest | None) -> dict[str, Any]:
    """What a worker told before of its runtime, for a run of which nothing is missing."""
    return {"runtime": old.environment["runtime"]} if old and "runtime" in old.environment else {}


def _as_computed(old: Manifest | None, name: str) -> dict[str, str | None]:
    """What a worker told before of a metric: why it is absent, and what computed it."""
    for record in old.metrics if old else []:
        if record.id == name:
            return {"absent": record.absent, "implementation": record.implementation}
    return {}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
