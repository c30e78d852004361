"""Run methods over a dataset: what is done stays, what is missing is done, a failure costs its own row only."""

from __future__ import annotations

from collections import Counter
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
    timeout: float = 900.0,
    listener: Listener | None = None,
) -> RunResult:
    """Do what is missing of a plan in `folder`, and write run.json, scores.csv and timings.csv.

    `jobs` is how many worker processes work side by side; None: one a device of the request.

    Raises:
        UsageError: the folder holds another request's run.
        DiskError: the disk is full; what was finished is kept.
        KeyboardInterrupt: passed on, after the workers are ended; the same command resumes.
    """
    store = Store(folder.absolute())
    executor = make_executor(plan, store, in_process, jobs, timeout)
    with claim(folder):
        check_folder(folder, plan.request, fresh)
        session = _Session(plan, store, executor, command, listener or Listener(), timeout)
        session.run()
    manifest = session.record.manifest
    return RunResult(folder, manifest, [outcome for outcome in manifest.outcomes if outcome.status == "failed"])


def make_executor(plan: Plan, store: Store, in_process: bool, jobs: int | None, timeout: float) -> Executor:
    """What works the units off: this process, or worker processes shared out over the request's devices.

    Methods that are objects of this process cannot leave it.
    """
    if in_process and (jobs or 1) > 1:
        raise UsageError(f"--in-process works in one process; leave it out, or --jobs {jobs}.")
    if in_process:
        return InProcess()
    devices = plan.request.device.split(",")
    count = max(jobs or 1, len(devices))
    pool = WorkerPool([devices[number % len(devices)] for number in range(count)], store.log_file, timeout)
    objects = {method.id for method in plan.methods if method.plugin.in_process}
    return Divided(pool, InProcess(), objects) if objects else pool


class _Session:
    """One call of `run`: what is pending, and what becomes of it."""

    def __init__(
        self, plan: Plan, store: Store, executor: Executor, command: str, listener: Listener, timeout: float
    ) -> None:
        self.plan, self.store, self.executor, self.listener, self.timeout = plan, store, executor, listener, timeout
        self.works = {(work.method.id, work.clip.clip.name): work for work in survey(plan, store)}
        self.record = RunRecord(plan, store, command, listener, list(self.works.values()), timeout)
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
            for work in self.pending:
                self.executor.submit(self._unit(work))
            self.executor.run(self._handle)
            self.record.manifest.finished = now()
        finally:
            self.executor.close()
            self.record.write()

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
            timeout=self.timeout,
            random_weights=request.random_weights,
        )
