"""Units on a cluster, through Dask distributed: one a node or GPU at a time, wherever Dask workers were started.

Who starts the Dask workers, and where, is Dask's business (docs/scale.md). Each worker is sent one unit at a time for
each of its places. A Dask worker that dies costs the unit that it was at: another worker does it once more. A unit with
which TRIES Dask workers died is recorded as failed, and the run goes on.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deblurbench import __version__, provenance
from deblurbench.errors import MissingError, UsageError
from deblurbench.evaluation import RESULTS_VERSION
from deblurbench.evaluation.execution import cluster_task
from deblurbench.evaluation.execution.cluster_task import Node, Task
from deblurbench.evaluation.execution.events import AnyEvent, Begun, Broken, Failed, Frame
from deblurbench.evaluation.execution.executor import Handle, next_unit
from deblurbench.evaluation.execution.jobs import Unit
from deblurbench.evaluation.execution.pool import shared_threads
from deblurbench.results.store import Store

if TYPE_CHECKING:
    from distributed import Client, Future

POLL_EVERY = 2.0  # seconds between looks at which Dask workers there are
CONNECTING = 30.0  # seconds in which a scheduler has to answer
ENDING = 10.0  # seconds that ending the worker processes on all nodes may take
GONE = "the scheduler has ended. What was finished is kept: start it, and repeat the command."
TRIES = 3  # how many Dask workers may die with a unit


@dataclass
class Slot:
    """One unit at a time on a Dask worker, and what that worker's process is loaded for."""

    address: str
    host: str
    beside: int
    key: tuple[str, int | None] | None = None
    busy: bool = False


class ClusterExecutor:
    """An Executor on a cluster.

    `address` is `tcp://HOST:PORT`, `local:N` or a scheduler file. `store` is the run's folder, `folders` maps
    other folders that every node has to see to a path in them, `device` is what the run asks for, and `say` is called
    with what the user should know.

    Raises (when made):
        MissingError: the package or the scheduler is not there, a node does not see a folder, or no worker comes.
        UsageError: a node has another version of deblurbench.
    """

    def __init__(
        self, address: str, store: Store, folders: Mapping[str, str], timeout: float, device: str,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.store, self.timeout, self.say = store, timeout, say
        self.topic = f"deblurbench-{uuid.uuid4().hex}"
        self.pending: list[Unit] = []
        self.flying: dict[str, tuple[Unit, Future[Any], Slot]] = {}
        self.slots: dict[str, Slot] = {}
        self.deaths: Counter[tuple[str, str]] = Counter()
        self.messages: queue.Queue[Any] = queue.Queue()
        self.closed = False
        self.client = connect(address)
        try:
            self._await_workers()
            self.on_gpus = device != "cpu" and any(info["resources"].get("GPU") for info in self._workers().values())
            check_nodes(self._nodes(folders), say)
        except BaseException:
            self.close()
            raise
        self.client.subscribe_topic(self.topic, self._progress)

    def submit(self, unit: Unit) -> None:
        """See Executor."""
        self.pending.append(unit)

    def run(self, handle: Handle) -> None:
        """See Executor."""
        looked = seen = time.monotonic()
        self._refresh(handle)
        while self.pending or self.flying:
            self._fill()
            with contextlib.suppress(queue.Empty):
                self._take(self.messages.get(timeout=POLL_EVERY), handle)
            if time.monotonic() - looked >= POLL_EVERY:
                looked = time.monotonic()
                self._refresh(handle)
            seen = time.monotonic() if self.slots else seen
            if time.monotonic() - seen > self.timeout:
                raise MissingError(
                    f"no Dask worker is left for {self.timeout:.0f} s. What was finished is kept: start workers, and "
                    "repeat the command."
                )

    def close(self) -> None:
        """See Executor."""
        if self.closed:
            return
        self.closed = True
        ending = threading.Thread(target=self._end_all, daemon=True)
        ending.start()
        ending.join(ENDING)
        with contextlib.suppress(Exception):  # a scheduler that has died
            cluster = self.client.cluster
            self.client.close(timeout=ENDING)
            if cluster is not None:
                cluster.close(timeout=ENDING)

    def _end_all(self) -> None:
        with contextlib.suppress(Exception):
            self.client.cancel([future for _, future, _ in self.flying.values()])
            self.client.run(cluster_task.end_workers, self.topic, on_error="ignore")

    def _workers(self) -> dict[str, Any]:
        info = self.client.scheduler_info(n_workers=-1)
        if self.client.status != "running" or "workers" not in info:
            raise MissingError(GONE)
        return dict(info["workers"])

    def _await_workers(self) -> None:
        from distributed import TimeoutError as NoWorkers

        if not self._workers():
            self.say(f"waiting up to {self.timeout:.0f} s for a Dask worker")
        try:
            self.client.wait_for_workers(1, timeout=self.timeout)
        except NoWorkers:
            raise MissingError(
                "the cluster has no worker: start some with `dask worker`, on every node (docs/scale.md)"
            ) from None

    def _nodes(self, folders: Mapping[str, str]) -> dict[str, Any]:
        """What each Dask worker reports of its machine, or the error that it had."""
        self.store.folder.mkdir(parents=True, exist_ok=True)
        token = self.store.folder / f".{self.topic}"
        token.touch()
        try:
            reports: dict[str, Any] = self.client.run(
                cluster_task.describe_node, str(token), dict(folders), on_error="return"
            )
        finally:
            token.unlink(missing_ok=True)
        return reports

    def _refresh(self, handle: Handle) -> None:
        """Follow the Dask workers that come and go; what one was at that went is done again, or has failed."""
        present: dict[str, Slot] = {}
        workers = self._workers()
        hosts = Counter(info["host"] for info in workers.values() for _ in range(self._capacity(info)))
        for address, info in workers.items():
            for number in range(self._capacity(info)):
                present[f"{address} {number}"] = Slot(address, info["host"], hosts[info["host"]] - 1)
        self.slots = {name: self.slots.get(name, slot) for name, slot in present.items()}
        for key, (unit, future, slot) in list(self.flying.items()):
            if slot.address not in workers:
                del self.flying[key]
                future.cancel()
                self._died(unit, slot, handle)

    def _died(self, unit: Unit, slot: Slot, handle: Handle) -> None:
        self.deaths[unit.name] += 1
        if self.deaths[unit.name] < TRIES:
            self.say(f"the Dask worker at {slot.address} is gone: {' on '.join(unit.name)} is done once more")
            self.pending.insert(0, unit)
            return
        reason = f"{TRIES} Dask workers died with it: likely the memory of their nodes (see the logs of Dask)"
        handle(unit, Failed(kind="killed", reason=reason))

    def _capacity(self, info: Mapping[str, Any]) -> int:
        """How many units a Dask worker works at: one a GPU where GPUs are resources, else one a thread."""
        gpus = int(info["resources"].get("GPU", 0))
        return min(gpus, info["nthreads"]) if self.on_gpus else info["nthreads"]

    def _fill(self) -> None:
        for slot in self.slots.values():
            if slot.busy or not self.pending:
                continue
            taken = {other.key for other in self.slots.values() if other is not slot and other.key}
            unit = next_unit(self.pending, slot.key, taken)
            slot.busy, slot.key = True, unit.worker_key
            self._send(unit, slot)

    def _send(self, unit: Unit, slot: Slot) -> None:
        variables = {name: value for name, value in os.environ.items() if name.startswith("DEBLURBENCH_")}
        log = self.store.log_file(f"{unit.method.id}.{slot.host}")  # two machines cannot append to one file of a share
        task = Task(unit, self.topic, str(log), self.timeout, slot.beside, variables)
        key = f"{self.topic}-{unit.method.id}-{unit.clip.clip}-{uuid.uuid4().hex[:8]}"
        future = self.client.submit(
            cluster_task.work, task, key=key, workers=[slot.address], pure=False,
            resources={"GPU": 1} if self.on_gpus else None,
        )  # fmt: skip
        self.flying[key] = unit, future, slot
        future.add_done_callback(self.messages.put)

    def _progress(self, message: tuple[float, Mapping[str, Any]]) -> None:
        """A worker's message about a unit at work; called by Dask's own thread."""
        self.messages.put(message[1])

    def _take(self, message: Any, handle: Handle) -> None:
        """Report a message about a unit at work, or the events of one that ended."""
        if isinstance(message, Mapping):
            name = tuple(message["unit"])
            for unit in [unit for unit, _, _ in self.flying.values() if unit.name == name]:
                events: list[AnyEvent] = [Begun()] if message["begun"] else []
                for event in [*events, *(Frame(stem=stem) for stem in message["stems"])]:
                    handle(unit, event)
            return
        if message.key not in self.flying:  # its worker is gone, and it was sent to another one
            return
        unit, future, slot = self.flying.pop(message.key)
        slot.busy = False
        for event in self._events(future):
            handle(unit, event)
            if isinstance(event, Broken):
                for other in self._take_all(unit):
                    handle(other, event)
        future.release()

    def _take_all(self, unit: Unit) -> list[Unit]:
        """Take the units out of the queue that need the same method, which cannot be loaded."""
        same = [other for other in self.pending if other.worker_key == unit.worker_key]
        self.pending = [other for other in self.pending if other.worker_key != unit.worker_key]
        return same

    def _events(self, future: Future[Any]) -> list[AnyEvent]:
        """The events of a unit that ended, of which the last one is in ENDS.

        Raises:
            MissingError: the scheduler is gone.
        """
        if future.cancelled() or self.client.status != "running":
            raise MissingError(GONE)
        error = future.exception()
        if error is not None:
            return [Failed(kind="left", reason=f"its Dask worker failed: {type(error).__name__}: {error}")]
        events: list[AnyEvent] = future.result()
        return events


def connect(address: str) -> Client:
    """A client of the scheduler at `address`; for `local:N`, of one that is started here with N Dask workers.

    Raises:
        UsageError: `address` is none. MissingError: Dask distributed is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingError(
            f"--cluster needs Dask distributed ({error}): pip install 'deblurbench[cluster]', on every node."
        ) from error
    kind, _, rest = address.partition(":")
    if kind == "local" and rest.isdecimal() and int(rest):
        cluster = LocalCluster(
            n_workers=int(rest), threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=0,
            env=shared_threads(int(rest)),
        )  # fmt: skip
        return Client(cluster, set_as_default=False)
    if kind not in ("tcp", "tls") and not address.endswith(".json"):
        raise UsageError(f"--cluster {address!r}: give tcp://HOST:PORT, local:N, or a scheduler file (.json).")
    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    if address.endswith(".json") and not Path(address).is_file():
        raise MissingError(f"--cluster {address}: no such file. `dask scheduler --scheduler-file {address}` writes it.")
    try:
        return Client(**where, timeout=CONNECTING, set_as_default=False)
    except (OSError, ValueError) as error:
        raise MissingError(f"--cluster {address}: no scheduler answers there ({error}).") from error


def check_nodes(nodes: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """See that all nodes have this version of deblurbench and see the run's folders.

    Raises:
        UsageError: another version. MissingError: a folder is not mounted, or deblurbench cannot be imported.
    """
    own = __version__, RESULTS_VERSION
    for address, node in nodes.items():
        if not isinstance(node, Node):
            raise MissingError(f"the Dask worker at {address} cannot run deblurbench: {type(node).__name__}: {node}")
        if node.missing:
            raise MissingError(
                f"node {node.host} does not see {', '.join(node.missing)}: mount the same shared folder there, under "
                "the same path."
            )
        if node.deblurbench != own:
            raise UsageError(
                f"node {node.host} has deblurbench {_version(node.deblurbench)}, here is {_version(own)}: install the "
                "same one."
            )
    torch = provenance.package_versions().get("torch")
    others = sorted({f"{node.host} ({node.torch})" for node in nodes.values() if node.torch != torch})
    if others:
        say(f"nodes with another torch than {torch}: {', '.join(others)}. Results are marked as mixed.")


def _version(version: tuple[str, int]) -> str:
    return f"{version[0]} (results version {version[1]})"
