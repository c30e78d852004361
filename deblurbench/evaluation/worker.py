"""A worker process: one method, clip by clip, told by JSON lines on its standard input.

Everything a plugin prints goes to the log; answers go out on a pipe of their own. The process ends with its parent:
when standard input closes it exits at once, whatever a plugin is doing, and on Linux the kernel ends it too. A guard
beside it then ends whatever processes a plugin has started.
This isolates faults. It is no security sandbox: a method can do whatever its user can.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, TextIO

from deblurbench.processes.guard import die_with_parent


def guard_session() -> None:
    """Leave a small process that kills this worker's whole session when the worker is gone, however it went."""
    worker = os.getpid()
    if os.getpgrp() != worker or os.fork():  # only where the supervisor gave it a session of its own
        return
    os.closerange(0, 64)  # hold no pipe open
    while os.getppid() == worker:
        time.sleep(0.2)
    os.killpg(worker, signal.SIGKILL)


def read_orders(source: TextIO, orders: queue.Queue[dict[str, Any]]) -> None:
    """Put every order into the queue; leave the process when the parent has closed the pipe."""
    for line in source:
        orders.put(json.loads(line))
    os._exit(0)


def main() -> None:
    """Take a MethodJob, say hello, then work off ClipJobs until the pipe closes."""
    die_with_parent()
    guard_session()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    source = os.fdopen(os.dup(0), "r")
    os.dup2(2, 1)
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    orders: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=read_orders, args=(source, orders), daemon=True).start()

    def answer(event: str, **more: Any) -> None:
        answers.write(json.dumps({"event": event, **more}) + "\n")
        answers.flush()

    work(orders, answer)


def work(orders: queue.Queue[dict[str, Any]], answer: Any) -> None:
    """The worker's life: make the method ready, then clip after clip."""
    from deblurbench.backends.failures import describe_failure
    from deblurbench.backends.load import MethodJob
    from deblurbench.errors import DiskError, plain_warnings
    from deblurbench.evaluation.evaluator import Bench
    from deblurbench.evaluation.jobs import ClipJob

    plain_warnings()
    try:
        bench = Bench(MethodJob.model_validate(orders.get()), alive=lambda: answer("alive"))
    except (Exception, SystemExit) as error:  # the parent records it as the method's failure
        answer("broken", **describe_failure(error))
        return
    answer("hello", **bench.hello())
    while True:
        job = ClipJob.model_validate(orders.get())
        try:
            outcome = bench.run(job, lambda stem: answer("frame", stem=stem))
        except DiskError as error:
            answer("disk", reason=str(error))
            return
        answer("done", outcome=outcome.model_dump())


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
