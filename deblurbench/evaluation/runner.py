"""Run methods over a dataset: what is done stays, what is missing is done, a failure costs its own row only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deblurbench.backends.failures import tile_to_try
from deblurbench.backends.load import MethodJob
from deblurbench.errors import DiskError, UsageError
from deblurbench.evaluation.execution.events import AnyEvent, Begun, Broken, Disk, Done, Failed, Frame, Ready
from deblurbench.evaluation.execution.executor import Divided, Executor, InProcess
from deblurbench.evaluation.execution.jobs import ClipJob, Unit
from deblurbench.evaluation.execution.pool import WorkerPool
from deblurbench.evaluation.plan import Plan, PlannedMethod
from deblurbench.evaluation.progress import Listener
from deblurbench.evaluation.record import RunRecord, now
from deblurbench.evaluation.survey import DAMAGED, Work, lines_of_stale, survey
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.lock import check_folder, claim
from deblurbench.results.manifest import Manifest, Outcome
from deblurbench.results.store import Part, Store


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
    jobs: int | None = None,
    cluster: str | None = None,
    timeout: float = 900.0,
    listener: Listener | None = None,
) -> RunResult:
    """Do what is missing of a plan in `folder`, and write run.json, scores.csv and timings.csv.

    `jobs` is how many worker processes work side by side; None: one a device of the request. `cluster` is where Dask
    distributed works the units off instead (docs/scale.md).

    Raises:
        UsageError: the folder holds another request's run.
        DiskError: the disk is full; what was finished is kept.
        KeyboardInterrupt: passed on, after the workers are ended; the same command resumes.
    """
    how = Execution(in_process, jobs, cluster, timeout)
    how.check(plan)
    listener = listener or Listener()
    with claim(folder):
        check_folder(folder, plan.request, fresh)
        session = _Session(plan, Store(folder.absolute()), how, command, listener)
        session.run()
    manifest = session.record.manifest
    return RunResult(folder, manifest, [outcome for outcome in manifest.outcomes if outcome.status == "failed"])


@dataclass(frozen=True)
class Execution:
    """Where the units of a run are worked off: see `run`."""

    in_process: bool
    jobs: int | None
    cluster: str | None
    timeout: float

    def check(self, plan: Plan) -> None:
        """See that the options go together.

        Raises:
            UsageError: they do not.
        """
        if self.in_process and (self.cluster or (self.jobs or 1) > 1):
            raise UsageError("--in-process works in one process: leave it out, or --jobs and --cluster.")
        if self.cluster and self.jobs:
            raise UsageError("--jobs is for this machine; on a cluster as many work as there are Dask workers.")
        if self.cluster and plan.request.device not in ("auto", "cpu", "cuda"):
            raise UsageError(
                f"--device {plan.request.device} names a GPU of this machine; with --cluster give auto, cpu or cuda."
            )

    def executor(self, plan: Plan, store: Store, say: Callable[[str], None]) -> Executor:
        """What works the units off. Methods that are objects of this process cannot leave it."""
        if self.in_process:
            return InProcess()
        others = self._cluster(plan, store, say) if self.cluster else self._pool(plan, store)
        objects = {method.id for method in plan.methods if method.plugin.in_process}
        return Divided(others, InProcess(), objects) if objects else others

    def _pool(self, plan: Plan, store: Store) -> Executor:
        devices = plan.request.device.split(",")
        count = max(self.jobs or 1, len(devices))
        return WorkerPool([devices[number % len(devices)] for number in range(count)], store.log_file, self.timeout)

    def _cluster(self, plan: Plan, store: Store, say: Callable[[str], None]) -> Executor:
        from deblurbench.evaluation.execution.cluster import ClusterExecutor

        folders = {plan.root: plan.root} if plan.request.data_root or Path(plan.root).is_dir() else {}
        return ClusterExecutor(self.cluster or "", store, folders, self.timeout, plan.request.device, say)


class _Session:
    """One call of `run`: what is pending, and what becomes of it."""

    def __init__(self, plan: Plan, store: Store, how: Execution, command: str, listener: Listener) -> None:
        self.plan, self.store, self.how, self.listener = plan, store, how, listener
        self.works = {(work.method.id, work.clip.clip.name): work for work in survey(plan, store)}
        self.record = RunRecord(plan, store, command, listener, list(self.works.values()), how.timeout)
        self.pending = [work for work in self.works.values() if work.state in ("new", "stale", "retry")]
        self.left = Counter(work.method.id for work in self.pending)
        self.loaded: set[str] = set()

    def run(self) -> None:
        """Do what is missing; whatever happens, the manifest and the tables are left as they then stand."""
        self._announce()
        try:
            for clip in self.plan.clips:
                self.record.settle(clip)
            self.record.write()
            if self.pending:
                self._work_off()
            self.record.manifest.finished = now()
        finally:
            self.record.write()

    def _work_off(self) -> None:
        self.executor = self.how.executor(self.plan, self.store, self.listener.say)
        try:
            for work in self.pending:
                self.executor.submit(self._unit(work))
            self.executor.run(self._handle)
        finally:
            self.executor.close()

    def _announce(self) -> None:
        """Report what cannot be done, what is done again, and how much there is to do."""
        for work in self.works.values():
            if work.state == "problem":
                self._note_problem(work)
        cached = sum(len(work.clip.clip) for work in self.works.values() if work.state == "cached")
        self.listener.begin(sum(len(work.clip.clip) for work in self.pending), cached)
        for work in self.pending:
            if work.why == DAMAGED:
                self.store.set_part_aside(work.method.id, work.clip.clip.name)
        for line in lines_of_stale(self.pending):
            self.listener.say(line)

    def _note_problem(self, work: Work) -> None:
        outcome = Outcome(
            method=work.method.id, clip=work.clip.clip.name, status="failed", kind="corrupt input", reason=work.why
        )
        self.record.note(outcome)
        if work.method.id == IDENTITY:  # once a clip is enough: it is no method's fault
            self.listener.outcome(outcome)

    def _handle(self, unit: Unit, event: AnyEvent) -> None:
        """Take note of an event of an executor."""
        method, clip = unit.name
        match event:
            case Begun():
                self.listener.clip(method, clip, unit.clip.frames)
            case Ready():
                self._ready(method, event)
            case Frame():
                self.listener.frame(method, clip, event.stem)
            case Done():
                self._done(unit, event.outcome)
            case Failed() | Broken():
                self._failed(unit, event.kind, event.reason, event.traceback)
            case Disk():
                raise DiskError(event.reason)

    def _ready(self, method: str, ready: Ready) -> None:
        self.record.ready(method, ready)
        if method not in self.loaded:  # parts alone do not hold it: a run that is killed later has it in run.json
            self.record.write()
        self.loaded.add(method)

    def _done(self, unit: Unit, outcome: Outcome) -> None:
        again = unit.retry(outcome)
        if again:
            method, clip = unit.name
            self.listener.say(f"{method} ran out of memory on {clip}; again in tiles of {again.method.tile} px")
            self.executor.submit(again)
            return
        part = self.store.read_part(*unit.name)
        if part is None:
            self._failed(unit, "left", "the worker reported the clip done, but its record is missing")
            return
        self.record.keep(part)
        self._ended(unit, part.outcome)

    def _failed(self, unit: Unit, kind: str, reason: str, traceback: str = "") -> None:
        method, clip = unit.name
        outcome = Outcome(method=method, clip=clip, status="failed", kind=kind, reason=reason, traceback=traceback)
        self.store.write_part(Part(unit.clip.key, outcome))
        self.record.note(outcome)
        self._ended(unit, outcome)

    def _ended(self, unit: Unit, outcome: Outcome) -> None:
        """A method ended on a clip: the tables are written once it ended on all."""
        self.listener.outcome(outcome)
        self.record.settle(self.works[unit.name].clip)
        self.left[outcome.method] -= 1
        if not self.left[outcome.method]:
            self.record.write()

    def _unit(self, work: Work) -> Unit:
        clip = ClipJob(
            clip=work.clip.clip.name,
            frames=len(work.clip.clip),
            scored=list(work.clip.scored),
            saved=self.record.frame_keeper.to_save(work.clip),
            key=work.key,
            retry_tile=tile_to_try(work.method.needs, self.plan.request.tile or max(work.clip.size or (0,))),
        )
        return Unit(self._method_job(work.method), clip)

    def _method_job(self, method: PlannedMethod) -> MethodJob:
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
            device=request.device.split(",")[0],
            precision=request.precision,
            tile=request.tile,
            seed=request.seed,
            timeout=self.how.timeout,
            code=method.plugin.code_digest() if self.how.cluster else "",
            random_weights=request.random_weights,
        )
