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
from pathlib import Path
from typing import IO, Any

from deblurbench.job import ClipJob, MethodJob

LOG_LIMIT = 4_000_000


class WorkerLost(Exception):
    """The worker is gone, or says nothing any more. `kind` is a short cause, the text says what to do."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Worker:
    """One worker process for one method. Its output goes to `log`, at most 4 MB of it."""

    def __init__(self, job: MethodJob, log: Path, timeout: float) -> None:
        self.timeout = timeout
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        log.parent.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deblurbench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
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
        return self.next_event()

    def start(self, job: ClipJob) -> None:
        """Hand over the next clip."""
        self._tell(job.model_dump())

    def next_event(self) -> dict[str, Any]:
        """The next event.

        Raises:
            WorkerLost: the process ended, or nothing came for `timeout` seconds.
        """
        try:
            event = self.events.get(timeout=self.timeout)
        except queue.Empty:
            self.kill()
            raise WorkerLost(
                "timeout", f"nothing came from the method for {self.timeout:.0f} s; it was ended (--timeout sets this)"
            ) from None
        if event is None:
            raise WorkerLost(*self._epitaph())
        return event

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

    def _epitaph(self) -> tuple[str, str]:
        code = self.process.wait()
        if code == -signal.SIGKILL:
            return "killed", "killed: signal 9 (likely out of memory; try --tile 512)"
        if code < 0:
            return "crashed", f"crashed: signal {-code} ({signal.Signals(-code).name})"
        return "left", f"the process left with code {code} in the middle of a clip"

    def kill(self) -> None:
        """End the process and every process of its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)

    def close(self) -> None:
        """Let an idle worker go."""
        with contextlib.suppress(OSError):
            if self.process.stdin:
                self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        self.kill()


def _keep_log(source: IO[bytes], file: Path) -> None:
    kept = 0
    with file.open("ab") as log:
        for line in iter(lambda: source.readline(65536), b""):
            if kept < LOG_LIMIT:
                with contextlib.suppress(OSError):
                    log.write(line)
                    log.flush()
            kept += len(line)
        if kept > LOG_LIMIT:
            with contextlib.suppress(OSError):
                log.write(f"\n[{kept - LOG_LIMIT} more bytes were printed and left out]\n".encode())
