"""Worker processes on this machine: as many side by side as there are devices or jobs, each of which can die alone."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deblurbench.errors import DiskError
from deblurbench.evaluation.execution.events import ENDS, AnyEvent, Begun, Broken, Disk, Done, Failed, Ready
from deblurbench.evaluation.execution.executor import Handle, next_unit
from deblurbench.evaluation.execution.jobs import Unit
from deblurbench.evaluation.execution.supervisor import Worker, WorkerLost

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables that say how many threads a library computes with."""


@dataclass
class Report:
    """An event on its way to the caller of `run`; `handled` is set when it arrived."""

    unit: Unit
    event: AnyEvent
    handled: threading.Event = field(default_factory=threading.Event)


class WorkerPool:
    """An Executor of worker processes, one thread of this process beside each.

    `devices` names one device a worker. `log_file` gives the log of a method; `timeout` is how many seconds may pass
    without a frame.
    """

    def __init__(self, devices: Sequence[str], log_file: Callable[[str], Path], timeout: float) -> None:
        self.log_file, self.timeout = log_file, timeout
        self.environment = shared_threads(len(devices))
        self.reports: queue.Queue[Report | BaseException] = queue.Queue()
        self.pending: list[Unit] = []
        self.unfinished = 0
        self.changed = threading.Condition()
        self.closed = False
        self.slots = [Slot(self, device, len(devices) - 1) for device in devices]

    def submit(self, unit: Unit) -> None:
        """See Executor."""
        with self.changed:
            self.pending.append(unit)
            self.unfinished += 1
            self.changed.notify_all()

    def run(self, handle: Handle) -> None:
        """See Executor."""
        for slot in self.slots[: max(1, len(self.pending))]:
            slot.thread.start()
        while self.unfinished:
            report = self.reports.get()
            if isinstance(report, BaseException):
                raise report
            self.unfinished -= isinstance(report.event, ENDS)
            handle(report.unit, report.event)
            report.handled.set()
        self.close()

    def close(self) -> None:
        """See Executor."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        for slot in self.slots:
            slot.end()

    def next_unit(self, slot: Slot) -> Unit | None:
        """The unit that a free slot takes up; waits for one, and is None when the pool closes."""
        with self.changed:
            while not self.pending and not self.closed:
                self.changed.wait()
            if self.closed:
                return None
            return next_unit(
                self.pending, slot.key, {other.key for other in self.slots if other is not slot and other.key}
            )

    def take_all(self, unit: Unit) -> list[Unit]:
        """Take the units out of the queue that would need the same worker as this one."""
        with self.changed:
            same = [other for other in self.pending if other.worker_key == unit.worker_key]
            self.pending = [other for other in self.pending if other.worker_key != unit.worker_key]
            return same

    def report(self, unit: Unit, event: AnyEvent) -> None:
        """Hand an event to the caller of `run`; where it ends a clip, wait until it was handled.

        So a method that is tried again is in the queue before its worker takes up another one, and what is written of
        a clip here takes no time from the next one.
        """
        report = Report(unit, event)
        self.reports.put(report)
        if isinstance(event, ENDS):
            while not report.handled.wait(0.2) and not self.closed:
                pass


class Slot:
    """A thread that starts worker processes on one device, one after the other, and hands them units."""

    def __init__(self, pool: WorkerPool, device: str, beside: int) -> None:
        self.pool, self.device, self.beside = pool, device, beside
        self.worker: Worker | None = None
        self.key: tuple[str, int | None] | None = None
        self.thread = threading.Thread(target=self._run, daemon=True, name=f"worker on {device}")

    def end(self) -> None:
        """End the worker process, then the thread."""
        if self.worker:
            self.worker.kill()
        if self.thread.is_alive():
            self.thread.join()

    def _run(self) -> None:
        try:
            while unit := self.pool.next_unit(self):
                self._work(unit)
        except BaseException as error:  # raised again where `run` was called
            self.pool.reports.put(error)
        finally:
            self._drop(kill=self.pool.closed)

    def _work(self, unit: Unit) -> None:
        self.pool.report(unit, Begun())
        try:
            if self.worker is None or unit.worker_key != self.key:
                self._drop()
                self.key = unit.worker_key
                ready = self._load(unit)
                if isinstance(ready, Broken):
                    self._drop(kill=True)
                    for each in [unit, *self.pool.take_all(unit)]:
                        self.pool.report(each, ready)
                    return
                self.pool.report(unit, ready)
            self._restore(unit)
        except WorkerLost as lost:
            self._drop(kill=True)
            self.pool.report(unit, Failed(kind=lost.kind, reason=str(lost)))
        except DiskError as error:
            self.pool.report(unit, Disk(reason=str(error)))

    def _load(self, unit: Unit) -> Ready | Broken:
        job = unit.method.model_copy(update={"device": self.device, "beside": self.beside})
        self.worker = Worker(job, self.pool.log_file(job.id), self.pool.timeout, self.pool.environment)
        if self.pool.closed:  # `end` saw no worker yet
            self.worker.kill()
        return self.worker.ready()

    def _restore(self, unit: Unit) -> None:
        assert self.worker
        self.worker.start(unit.clip)
        while True:
            event = self.worker.next_event()
            if isinstance(event, Done) and unit.spoils_worker(event.outcome):
                self._drop(kill=True)
            self.pool.report(unit, event)
            if isinstance(event, ENDS):
                return

    def _drop(self, kill: bool = False) -> None:
        worker, self.worker = self.worker, None
        if worker and kill:
            worker.kill()
        elif worker:
            worker.close()


def shared_threads(workers: int) -> dict[str, str]:
    """Variables by which several workers share out the processor's cores; what the user has set stays."""
    if workers == 1:
        return {}
    each = str(max(1, usable_cores() // workers))
    return {name: each for name in THREADS if name not in os.environ}


def usable_cores() -> int:
    """How many of the processor's cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
