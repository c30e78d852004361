"""The parent's side of a worker: start it, hand it clips, notice when it dies or hangs, end it with its children."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pydantic import BaseModel

from deblurbench.backends.load import MethodJob
from deblurbench.errors import DiskError
from deblurbench.evaluation.execution.events import AnyEvent, Broken, Ready, parse_event
from deblurbench.evaluation.execution.jobs import ClipJob
from deblurbench.processes.guarded import AT_ONCE, GuardedProcess, NotStarted, exit_reason

COMMAND = (sys.executable, "-P", "-m", "deblurbench.evaluation.execution.worker")
LOG_LIMIT = 4_000_000
ENDING = 10.0  # seconds that a process may take to end
LOADING = 120.0  # seconds that loading a method may take, whatever --timeout says of its frames
POLL_EVERY = 2.0  # seconds between checks whether a silent worker still lives


class WorkerLost(Exception):
    """The worker ended or is silent. `kind` is a short cause, the text says what to do."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Worker:
    """One worker process for one method. Its output goes to `log`, at most 4 MB of it.

    `timeout` is how many seconds may pass without an event; `variables` are added to the environment.

    Raises (when made):
        DiskError: the log's folder cannot be made.
    """

    def __init__(self, job: MethodJob, log: Path, timeout: float, variables: Mapping[str, str] | None = None) -> None:
        self.timeout = timeout
        self.events: queue.Queue[AnyEvent | None] = queue.Queue()
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(f"{log.parent}: cannot be made ({error.strerror}). Name another --output.") from error
        self.guarded = GuardedProcess(
            COMMAND,
            environment={**_environment(), **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.stdin: IO[bytes] = self.guarded.process.stdin  # type: ignore[assignment]
        for target, arguments in (
            (self._read_events, (self.guarded.process.stdout,)),
            (_write_log, (self.guarded.process.stderr, log)),
        ):
            threading.Thread(target=target, args=arguments, daemon=True).start()
        self._send(job)

    def ready(self) -> Ready | Broken:
        """Wait until the method is loaded, or cannot be."""
        patience = max(self.timeout, LOADING)  # importing torch alone may take half a minute
        try:
            while not isinstance(event := self.next_event(patience), Ready | Broken):
                pass
        except WorkerLost as lost:
            return Broken(kind=lost.kind, reason=f"while getting ready: {lost}")
        return event

    def start(self, job: ClipJob) -> None:
        """Hand over the next clip."""
        self._send(job)

    def next_event(self, patience: float | None = None) -> AnyEvent:
        """The next event.

        Raises:
            WorkerLost: the process ended, or nothing came for `patience` seconds (the worker's time-out for None).
        """
        patience = self.timeout if patience is None else patience
        until = time.monotonic() + patience
        while (left := until - time.monotonic()) > 0:
            try:
                event = self.events.get(timeout=min(left, POLL_EVERY))
            except queue.Empty:
                if self._exit_code(AT_ONCE) is None:
                    continue
                event = None  # a plugin's child may hold the pipe open after its parent's death
            if event is None:
                raise self._lost()
            return event
        self.kill()
        raise WorkerLost(
            "timeout", f"nothing came from the method for {patience:.0f} s; it was ended (--timeout sets this)"
        )

    def _send(self, message: BaseModel) -> None:
        with contextlib.suppress(OSError, ValueError):  # the next event says why the pipe is closed
            self.stdin.write((message.model_dump_json() + "\n").encode())
            self.stdin.flush()

    def _read_events(self, source: IO[bytes]) -> None:
        with source:
            for line in source:
                with contextlib.suppress(ValueError):
                    self.events.put(parse_event(line))
        self.events.put(None)

    def _exit_code(self, seconds: float) -> int | None:
        try:
            return self.guarded.wait(seconds)
        except NotStarted as error:
            raise WorkerLost("left", f"the worker process cannot be started: {error}") from error

    def _lost(self) -> WorkerLost:
        code = self._exit_code(ENDING)
        self.kill()
        return WorkerLost(*exit_reason(code))

    def kill(self) -> None:
        """End the process and every process that it started."""
        self.guarded.end()
        with contextlib.suppress(OSError):
            self.stdin.close()

    def close(self) -> None:
        """Let an idle worker end by itself, then see that nothing of it stays."""
        with contextlib.suppress(OSError):
            self.stdin.close()
        with contextlib.suppress(NotStarted):
            self.guarded.wait(ENDING / 2)
        self.kill()


def _environment() -> dict[str, str]:
    """The worker's environment: this deblurbench is found wherever it lies, and no file of the current folder is.

    With `-P` a user's `random.py` in the current folder hides nothing from Python or torch.
    """
    home = str(Path(__file__).resolve().parents[3])
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _write_log(source: IO[bytes], file: Path) -> None:
    """Read all that a worker prints, so that it never has to wait; write the first of it, as far as the disk allows.

    What earlier workers printed is in the same file, and counts.
    """
    written = left_out = 0
    with contextlib.suppress(OSError):
        written = file.stat().st_size
    with source:
        for line in iter(lambda: source.readline(65536), b""):
            if written < LOG_LIMIT:
                _append(file, line)
                written += len(line)
            else:
                left_out += len(line)
    if left_out:
        _append(file, f"\n[{left_out} more bytes were printed and left out]\n".encode())


def _append(file: Path, text: bytes) -> None:
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as log:
        log.write(text)
