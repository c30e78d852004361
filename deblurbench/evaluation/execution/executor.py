"""Where the units of a run are worked off: the interface, and the one that needs no process."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Collection
from typing import Protocol, TypeAlias

from deblurbench.backends.failures import describe_failure
from deblurbench.evaluation.evaluator import Evaluator
from deblurbench.evaluation.execution.events import AnyEvent, Begun, Broken, Done, Frame
from deblurbench.evaluation.execution.jobs import Unit

Handle: TypeAlias = Callable[[Unit, AnyEvent], None]
"""What an executor calls with every event, always from the thread that called `run`."""


class Executor(Protocol):
    """Works off units, method x clip, and reports what happens.

    Every unit ends with exactly one of `events.ENDS`. An executor keeps no record: a unit that was lost on the way can
    be submitted again.
    """

    def submit(self, unit: Unit) -> None:
        """Put a unit at the end of the queue; also while `run` works."""

    def run(self, handle: Handle) -> None:
        """Work until every unit has ended, and report each event. What `handle` raises ends it."""

    def close(self) -> None:
        """End what is still at work, and every process that was started. May be called twice."""


def next_unit(pending: list[Unit], current: tuple[str, int | None] | None, taken: set[tuple[str, int | None]]) -> Unit:
    """Take the unit that suits a worker loaded for `current` best out of the queue, which must not be empty.

    One of the same key needs no loading. Then comes what is tried again of the same method, then the first method
    that no other worker is loaded for (`taken`), then the method with most units left.
    """
    ranked = [
        (
            unit.worker_key != current,
            current is None or unit.method.id != current[0],
            unit.worker_key in taken,
        )
        for unit in pending
    ]
    best = min(ranked)
    fitting = [at for at, rank in enumerate(ranked) if rank == best]
    if best == (True, True, True):
        left = Counter(pending[at].worker_key for at in fitting)
        fitting.sort(key=lambda at: -left[pending[at].worker_key])
    return pending.pop(fitting[0])


class InProcess:
    """Restores in this process, one unit after the other: for debugging a method."""

    def __init__(self) -> None:
        self.pending: list[Unit] = []
        self.key: tuple[str, int | None] | None = None
        self.evaluator: Evaluator | Broken | None = None

    def submit(self, unit: Unit) -> None:
        """See Executor."""
        self.pending.append(unit)

    def run(self, handle: Handle) -> None:
        """See Executor. The current folder and standard output are a worker's: what a method does to them is undone."""
        with contextlib.chdir("."), contextlib.redirect_stdout(sys.stderr):
            while self.pending:
                unit = next_unit(self.pending, self.key, set())
                handle(unit, Begun())
                self._work(unit, handle)

    def close(self) -> None:
        """See Executor."""
        self.evaluator = None

    def _work(self, unit: Unit, handle: Handle) -> None:
        if unit.worker_key != self.key:
            self.evaluator, self.key = _load(unit), unit.worker_key
            if isinstance(self.evaluator, Evaluator):
                handle(unit, self.evaluator.ready())
        if isinstance(self.evaluator, Evaluator):
            outcome = self.evaluator.run(unit.clip, lambda stem: handle(unit, Frame(stem=stem)))
            handle(unit, Done(outcome=outcome))
        elif self.evaluator:
            handle(unit, self.evaluator)


class Divided:
    """Two executors: `here` for some methods, by id, and `others` for the rest."""

    def __init__(self, others: Executor, here: Executor, methods: Collection[str]) -> None:
        self.others, self.here, self.methods = others, here, methods

    def submit(self, unit: Unit) -> None:
        """See Executor."""
        (self.here if unit.method.id in self.methods else self.others).submit(unit)

    def run(self, handle: Handle) -> None:
        """See Executor."""
        self.others.run(handle)
        self.here.run(handle)

    def close(self) -> None:
        """See Executor."""
        self.others.close()
        self.here.close()


def _load(unit: Unit) -> Evaluator | Broken:
    try:
        return Evaluator(unit.method)
    except (Exception, SystemExit) as error:  # any failure to load a method costs its own row only
        return Broken(**describe_failure(error))
