"""A process that never outlives this one: started through a guard, which ends it when the control socket closes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

GUARD = Path(__file__).with_name("guard.py")
ENDING = 10.0  # seconds that killing and cleaning up may take
AT_ONCE = 0.001  # seconds: a time-out of 0 would make the socket non-blocking


class NotStarted(Exception):
    """The process could not be started; the text says why."""


class GuardedProcess:
    """One process in a session apart, with all that it starts; ended by `close`, or when this process ends.

    `folder` is removed with it. `environment` is that of another Python by default, without this one's packages.
    `standard` are subprocess.Popen's stdin, stdout and stderr.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        folder: Path | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        **standard: int | IO[Any] | None,
    ) -> None:
        self._answer = b""
        self._control, other_end = socket.socketpair()
        arguments = [str(other_end.fileno()), str(folder or ""), ",".join(map(str, pass_fds))]
        with other_end:
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(GUARD), *arguments, *words], start_new_session=True, cwd=cwd,
                pass_fds=(other_end.fileno(), *pass_fds),
                env=foreign_environment() if environment is None else environment, **standard,
            )  # type: ignore[call-overload]  # fmt: skip

    def wait(self, seconds: float) -> int | None:
        """The exit code (negative: the signal that ended it); None while it still runs after `seconds`.

        Raises:
            NotStarted: there is no such program, or it must not be run.
        """
        try:
            self._control.settimeout(max(seconds, AT_ONCE))
            while not self._answer.endswith(b"\n"):
                more = self._control.recv(4096)
                if not more:
                    return -signal.SIGKILL  # the guard itself was killed, and the process with it
                self._answer += more
        except TimeoutError:
            return None
        except OSError:  # closed here, or reset by a guard that was killed
            return -signal.SIGKILL
        text = self._answer.decode(errors="replace").strip()
        if text.startswith("error "):
            raise NotStarted(text.removeprefix("error "))
        return int(text)

    def end(self) -> None:
        """End the process and all that it started, and remove the folder. From any thread, and more than once."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits, as closing alone would not
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=ENDING)

    def close(self) -> None:
        """The same, and close the pipes, which no other thread may be reading."""
        self.end()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def foreign_environment() -> dict[str, str]:
    """This process's environment without what would lead another Python to its packages."""
    own = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {name: value for name, value in os.environ.items() if name not in own}


def exit_reason(code: int | None, subject: str = "the process") -> tuple[str, str]:
    """A short cause and one sentence for a process that ended unasked, or (code None) only closed its pipe."""
    if code is None:
        return "left", "the method closed the pipe that its results come through; it was ended"
    if code == -signal.SIGKILL:
        return "killed", "killed: signal 9 (likely out of memory; try --tile 512)"
    if code < 0:
        return "crashed", f"crashed: signal {-code} ({signal_name(-code)})"
    return "left", f"{subject} left by itself with code {code}"


def signal_name(number: int) -> str:
    """SIGSEGV and the like; real-time signals have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"
