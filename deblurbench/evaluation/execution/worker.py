"""A worker process: one method, clip by clip, as JSON lines on its standard input ask for.

Everything a plugin prints goes to the log; events go out on a separate pipe. The process ends with its parent: when
standard input closes it exits at once, whatever a plugin is doing, and the guard through which it was started ends it
with every process that a plugin has started.
This isolates faults. It is no security sandbox: a method can do whatever its user can.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from deblurbench.evaluation.execution.events import AnyEvent


def read_orders(source: TextIO, orders: queue.Queue[str]) -> None:
    """Put every line into the queue; leave the process when the parent has closed the pipe."""
    for line in source:
        orders.put(line)
    os._exit(0)


def main() -> None:
    """Read a MethodJob, load the method, then work off ClipJobs until the pipe closes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    source = os.fdopen(os.dup(0), "r")
    os.dup2(2, 1)
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    orders: queue.Queue[str] = queue.Queue()
    threading.Thread(target=read_orders, args=(source, orders), daemon=True).start()

    def report(event: AnyEvent) -> None:
        answers.write(event.model_dump_json() + "\n")
        answers.flush()

    work(orders, report)


def work(orders: queue.Queue[str], report: Callable[[AnyEvent], None]) -> None:
    """Load the method, then restore clip after clip."""
    from deblurbench.backends.failures import describe_failure
    from deblurbench.backends.load import MethodJob
    from deblurbench.errors import DiskError, plain_warnings
    from deblurbench.evaluation.evaluator import Evaluator
    from deblurbench.evaluation.execution.events import Alive, Broken, Disk, Done, Frame
    from deblurbench.evaluation.execution.jobs import ClipJob

    plain_warnings()
    try:
        evaluator = Evaluator(MethodJob.model_validate_json(orders.get()), alive=lambda: report(Alive()))
    except (Exception, SystemExit) as error:  # the parent records it as the method's failure
        report(Broken(**describe_failure(error)))
        return
    report(evaluator.ready())
    while True:
        job = ClipJob.model_validate_json(orders.get())
        try:
            report(Done(outcome=evaluator.run(job, lambda stem: report(Frame(stem=stem)))))
        except DiskError as error:
            report(Disk(reason=str(error)))
            return


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
