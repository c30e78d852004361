"""A foreign process that never outlives us: started through a keeper, which ends it when we let go or die."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

GUARD = Path(__file__).with_name("guard.py")
LAST_BREATH = 10.0  # seconds that killing and cleaning up may take


class NotStarted(Exception):
    """The process could not be started; the text says why."""


class Kept:
    """One foreign process in a session of its own, with all that it starts; gone after `close`, or when we are.

    `folder` is removed with it. `standard` are subprocess.Popen's stdin, stdout and stderr.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        folder: Path | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
        **standard: int | IO[Any] | None,
    ) -> None:
        self._told = b""
        self._leash, theirs = socket.socketpair()
        told = [str(theirs.fileno()), str(folder or ""), ",".join(map(str, pass_fds))]
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(GUARD), *told, *words], start_new_session=True, cwd=cwd,
                pass_fds=(theirs.fileno(), *pass_fds), env=foreign_environment(), **standard,
            )  # type: ignore[call-overload]  # fmt: skip

    def wait(self, seconds: float) -> int | None:
        """The exit code (negative: the signal that ended it); None while it still runs after `seconds`.

        Raises:
            NotStarted: there is no such program, or it must not be run.
        """
        self._leash.settimeout(seconds)
        try:
            while not self._told.endswith(b"\n"):
                more = self._leash.recv(4096)
                if not more:
                    return -9  # the keeper itself was killed, and the process with it
                self._told += more
        except TimeoutError:
            return None
        text = self._told.decode(errors="replace").strip()
        if text.startswith("error "):
            raise NotStarted(text.removeprefix("error "))
        return int(text)

    def close(self) -> None:
        """End the process and all that it started, and remove the folder. May be called twice."""
        self._leash.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=LAST_BREATH)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def foreign_environment() -> dict[str, str]:
    """Our environment without what would lead another Python to our packages."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {name: value for name, value in os.environ.items() if name not in ours}


def epitaph(code: int | None, who: str = "the process") -> tuple[str, str]:
    """A short cause and one sentence for a process that ended unasked, or (code None) only closed its pipe."""
    if code is None:
        return "left", "the method closed the pipe that its results come through; it was ended"
    if code == -signal.SIGKILL:
        return "killed", "killed: signal 9 (likely out of memory; try --tile 512)"
    if code < 0:
        return "crashed", f"crashed: signal {-code} ({signal_name(-code)})"
    return "left", f"{who} left by itself with code {code}"


def signal_name(number: int) -> str:
    """SIGSEGV and the like; real-time signals have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"
