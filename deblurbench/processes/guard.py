"""Guards one process, as a script: `python -I guard.py CONTROL FOLDER FDS WORD...`.

CONTROL is the number of a socket whose other end the caller holds. The guard starts WORD... (if any are given) in a
session apart, handing on the descriptors FDS (comma-separated), and writes one line into the socket when the process
has ended: its exit code (negative: the signal), or `error TEXT` where it could not be started. When the caller closes
the socket, on purpose or by dying, the guard kills everything that the process started and removes FOLDER (where one
is named).

On Linux the guard is a child subreaper: descendants that leave the session (setsid, double forks) become its children
when their parents end, and are killed with the rest.

Imports nothing of deblurbench, so that it starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
KILLING = 5.0  # seconds that killing all descendants may take


def process_control(option: int, value: int) -> None:
    """Set one of prctl's options for this process; without effect on systems that have no prctl."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (Linux only)."""
    process_control(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_session(leader: int) -> None:
    """Kill every process of a session's first process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def children() -> list[int]:
    """The children of this process, adopted ones included; none where the system has no /proc."""
    adopted: set[int] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            adopted |= {int(number) for number in file.read_text().split()}
    return sorted(adopted)


def is_guard(process: int) -> bool:
    """Whether a process is itself a guard, which cleans up and ends without help."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return len(words) > 2 and words[2] == os.fsencode(__file__)


def end_descendants() -> None:
    """Kill the children until none is left: each round adopts the children of those that the last one killed."""
    until = time.monotonic() + KILLING
    while time.monotonic() < until:
        remaining = [process for process in children() if not is_guard(process)]
        if not remaining:
            return
        for process in remaining:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process, os.WNOHANG)
        time.sleep(0.01)


def release_pipes() -> None:
    """Hold no end of the caller's pipes open: they belong to the guarded process."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)


def wait_for(process: int) -> int:
    """Wait for the guarded process, and reap adopted ones meanwhile, which would stay behind as zombies."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == process:
            return os.waitstatus_to_exitcode(status)


def report_end(process: int, control: socket.socket) -> None:
    """Wait for the process, kill what it left running, and report its exit code."""
    code = wait_for(process)
    end_session(process)
    end_descendants()
    with contextlib.suppress(OSError):
        control.sendall(f"{code}\n".encode())


def start(words: list[str], descriptors: list[int], control: socket.socket) -> tuple[int, threading.Thread] | None:
    """Start the process and a thread that reports its end; None, and a line that says why, where it cannot be."""
    try:  # no thread runs yet, so that preexec_fn is safe
        process = subprocess.Popen(words, start_new_session=True, pass_fds=descriptors, preexec_fn=die_with_parent)
    except OSError as error:
        control.sendall(f"error {error.strerror}: {error.filename or words[0]}\n".encode())
        return None
    watch = threading.Thread(target=report_end, args=(process.pid, control), daemon=True)
    watch.start()
    return process.pid, watch


def main(words: list[str]) -> None:
    """Start the process, then wait until the caller closes the control socket."""
    control, folder = socket.socket(fileno=int(words[0])), words[1]
    process_control(PR_SET_CHILD_SUBREAPER, 1)
    descriptors = [int(number) for number in words[2].split(",") if number]
    started = start(words[3:], descriptors, control) if words[3:] else None
    for descriptor in descriptors:
        os.close(descriptor)
    release_pipes()
    with contextlib.suppress(OSError):
        while control.recv(1):
            pass
    if started:
        end_session(started[0])
        started[1].join()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
