"""What runs in a Dask worker on a node of a cluster: it hands units to a worker process and reports what happens.

Each thread of a Dask worker keeps one process for the next unit of the same method. It is ended when another method is
needed, when it was idle for a while, or when the run ends. A method that crashes or hangs costs its unit, not the Dask
worker.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deblurbench import __version__, provenance
from deblurbench.errors import DiskError
from deblurbench.evaluation import RESULTS_VERSION
from deblurbench.evaluation.execution.events import ENDS, AnyEvent, Broken, Disk, Done, Failed, Frame, Ready
from deblurbench.evaluation.execution.jobs import Unit
from deblurbench.evaluation.execution.supervisor import Worker, WorkerLost

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE = 60.0  # seconds after which a worker process without work is ended
STEADY = 1.0  # seconds between two messages about the frames of a unit


@dataclass(frozen=True)
class Task:
    """A unit, and how it is worked off. `topic` names the run; `variables` are added to the environment."""

    unit: Unit
    topic: str
    log: str
    timeout: float
    beside: int
    variables: dict[str, str]


@dataclass(frozen=True)
class Node:
    """What a Dask worker reports of its machine: its name, versions, and the run's folders that it does not see."""

    host: str
    deblurbench: tuple[str, int]
    torch: str
    missing: tuple[str, ...]


def describe_node(token: str, folders: dict[str, str]) -> Node:
    """See what this machine is. `folders` maps folders of the run to a path that has to exist there.

    `token` is a file that the run has just written.
    """
    missing = [] if Path(token).is_file() else [str(Path(token).parent)]
    missing += [folder for folder, path in folders.items() if not Path(path).exists()]
    versions = provenance.package_versions()
    return Node(socket.gethostname(), (__version__, RESULTS_VERSION), versions.get("torch", "none"), tuple(missing))


class Slot:
    """The worker process of one thread of a Dask worker."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = threading.RLock()
        self.worker: Worker | None = None
        self.key: tuple[Any, ...] = ()
        self.idle: threading.Timer | None = None

    def load(self, task: Task, device: str) -> Ready | Broken | None:
        """See that the process is loaded for a task; None where it was."""
        key = (task.topic, task.unit.worker_key, device)
        with self.lock:
            if self.idle:
                self.idle.cancel()
            if self.worker and self.key == key:
                return None
            self.end()
            job = task.unit.method.model_copy(update={"device": device, "beside": task.beside})
            self.worker, self.key = Worker(job, Path(task.log), task.timeout, task.variables), key
            worker = self.worker
        return worker.ready()

    def restore(self, task: Task, report: Callable[[Frame], None]) -> AnyEvent:
        """Restore the task's clip, report its frames, and return the event that ends it."""
        worker = self.worker
        if worker is None:
            raise WorkerLost("killed", "the run has ended")
        worker.start(task.unit.clip)
        while not isinstance(event := worker.next_event(), ENDS):
            if isinstance(event, Frame):
                report(event)
        return event

    def rest(self) -> None:
        """Nothing to do: end the process after a while."""
        self.idle = threading.Timer(IDLE, self.end)
        self.idle.daemon = True
        self.idle.start()

    def end(self) -> None:
        """End the process, if there is one; from any thread."""
        with self.lock:
            worker, self.worker = self.worker, None
        if worker:
            worker.kill()


_own = threading.local()
_slots: list[Slot] = []
_numbers = itertools.count()


def own_slot() -> Slot:
    """The slot of this thread."""
    if not hasattr(_own, "slot"):
        _own.slot = Slot(next(_numbers))
        _slots.append(_own.slot)
    slot: Slot = _own.slot
    return slot


def end_workers(topic: str) -> None:
    """End the worker processes of a run on this node."""
    for slot in _slots:
        if slot.key[:1] == (topic,):
            slot.end()


def work(task: Task) -> list[AnyEvent]:
    """Work a unit off; the events that the run has to know, of which the last one ends the unit."""
    slot = own_slot()
    progress = Progress(task)
    events: list[AnyEvent] = []
    try:
        loaded = slot.load(task, _device(task, slot.number))
        events += [loaded] if loaded else []
        if not isinstance(loaded, Broken):
            events.append(slot.restore(task, progress.frame))
    except WorkerLost as lost:
        events.append(Failed(kind=lost.kind, reason=f"{lost} (on {socket.gethostname()})"))
    except DiskError as error:
        events.append(Disk(reason=f"{error} (on {socket.gethostname()})"))
    last = events[-1]
    if isinstance(last, Done) and not task.unit.spoils_worker(last.outcome):
        slot.rest()
    else:
        slot.end()
    progress.flush()
    return events


def _device(task: Task, number: int) -> str:
    """The task's device; of several GPUs that a Dask worker offers as resource, each thread has its own."""
    from distributed import get_worker

    device: str = task.unit.method.device
    count = int(get_worker().state.total_resources.get("GPU", 0))
    return f"cuda:{number % count}" if count and device in ("auto", "cuda") else device


class Progress:
    """Tells the run that a unit was begun, and of its frames at a steady pace."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.stems: list[str] = []
        self._send(begun=True)

    def frame(self, event: Frame) -> None:
        """A frame was restored."""
        self.stems.append(event.stem)
        if time.monotonic() - self.sent >= STEADY:
            self.flush()

    def flush(self) -> None:
        """Send what was not sent yet."""
        if self.stems:
            self._send(begun=False)

    def _send(self, begun: bool) -> None:
        from distributed import get_worker

        self.sent = time.monotonic()
        message = {"unit": list(self.task.unit.name), "begun": begun, "stems": self.stems}
        with contextlib.suppress(OSError, RuntimeError):  # progress is not worth a unit
            get_worker().log_event(self.task.topic, message)
        self.stems = []
