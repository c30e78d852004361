"""The parent's side of a worker: start it, hand it clips, notice when it dies or hangs, end it with its children."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from deblurbench.backends.load import MethodJob
from deblurbench.errors import DiskError
from deblurbench.evaluation.jobs import ClipJob
from deblurbench.processes.guarded import epitaph

LOG_LIMIT = 4_000_000
LAST_BREATH = 10.0  # seconds that a process may take to end
GETTING_READY = 120.0  # seconds a method may take to be made, whatever --timeout says of its frames
LOOK_EVERY = 2.0  # seconds between looks at whether a silent worker still lives


class WorkerLost(Exception):
    """The worker is gone, or says nothing any more. `kind` is a short cause, the text says what to do."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Worker:
    """One worker process for one method. Its output goes to `log`, at most 4 MB of it.

    Raises (when made):
        DiskError: the log's folder cannot be made.
    """

    def __init__(self, job: MethodJob, log: Path, timeout: float) -> None:
        self.timeout = timeout
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(f"{log.parent}: cannot be made ({error.strerror}). Name another --output.") from error
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "deblurbench.evaluation.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=_environment(),
        )
        self.threads = [
            threading.Thread(target=self._read_events, args=(self.process.stdout,), daemon=True),
            threading.Thread(target=_keep_log, args=(self.process.stderr, log), daemon=True),
        ]
        for thread in self.threads:
            thread.start()
        self._tell(job.model_dump())

    def hello(self) -> dict[str, Any]:
        """Wait until the method is ready: device, parameter count, absent metrics; or event `broken` with the cause."""
        try:
            return self.next_event(max(self.timeout, GETTING_READY))  # importing torch alone may take half a minute
        except WorkerLost as lost:
            return {"event": "broken", "kind": lost.kind, "reason": f"while getting ready: {lost}"}

    def start(self, job: ClipJob) -> None:
        """Hand over the next clip."""
        self._tell(job.model_dump())

    def next_event(self, patience: float | None = None) -> dict[str, Any]:
        """The next event.

        Raises:
            WorkerLost: the process ended, or nothing came for `patience` seconds (the worker's time-out for None).
        """
        patience = self.timeout if patience is None else patience
        until = time.monotonic() + patience
        while (left := until - time.monotonic()) > 0:
            dead = self.process.poll() is not None  # a child of the plugin may hold the pipe open after its death
            with contextlib.suppress(queue.Empty):
                event = self.events.get(timeout=min(left, LOOK_EVERY))
                if event is None:
                    raise self._lost()
                return event
            if dead:
                raise self._lost()
        self.kill()
        raise WorkerLost(
            "timeout", f"nothing came from the method for {patience:.0f} s; it was ended (--timeout sets this)"
        )

    def _tell(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError, OSError):
            self.process.stdin.write((json.dumps(message) + "\n").encode())
            self.process.stdin.flush()

    def _read_events(self, source: IO[bytes]) -> None:
        for line in source:
            with contextlib.suppress(ValueError):
                self.events.put(json.loads(line))
        self.events.put(None)

    def _lost(self) -> WorkerLost:
        code = None
        try:
            code = self.process.wait(timeout=LAST_BREATH)
        except subprocess.TimeoutExpired:
            self.kill()
        return WorkerLost(*epitaph(code))

    def kill(self) -> None:
        """End the process and every process of its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=LAST_BREATH)

    def close(self) -> None:
        """Let an idle worker go."""
        with contextlib.suppress(OSError):
            if self.process.stdin:
                self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        self.kill()


def _environment() -> dict[str, str]:
    """The worker's environment: this deblurbench is found wherever it lies, and no file of the current folder is.

    With `-P` a user's `random.py` in the current folder hides nothing from Python or torch.
    """
    home = str(Path(__file__).resolve().parents[2])
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _keep_log(source: IO[bytes], file: Path) -> None:
    """Read all that a worker prints, so that it never waits for us; keep the first of it, as far as the disk allows.

    What the workers before it printed is in the same file, and counts.
    """
    kept = left_out = 0
    with contextlib.suppress(OSError):
        kept = file.stat().st_size
    for line in iter(lambda: source.readline(65536), b""):
        if kept < LOG_LIMIT:
            _append(file, line)
            kept += len(line)
        else:
            left_out += len(line)
    if left_out:
        _append(file, f"\n[{left_out} more bytes were printed and left out]\n".encode())


def _append(file: Path, text: bytes) -> None:
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as log:
        log.write(text)
