"""Keeps one foreign process on a leash, as a script of its own: `python -I guard.py LEASH FOLDER FDS WORD...`.

LEASH is the number of a socket whose other end the caller holds. The keeper starts WORD... (if any are given) in a
session of its own, handing on the descriptors FDS (comma-separated), and writes one line into the socket when it is
over: the exit code (negative: the signal), or `error TEXT` where it could not be started. When the caller lets go of
the socket, by closing it or by dying in whatever way, everything in that session is killed and FOLDER (where one is
named) is removed.

Imports nothing of ours, so that it starts in milliseconds.
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


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent is gone (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


def end_session(leader: int) -> None:
    """Kill every process of a session's first process group, if there is any left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def let_go_of_pipes() -> None:
    """Hold no end of the caller's pipes open: they are the foreign process's."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)


def tell_the_end(process: subprocess.Popen[bytes], leash: socket.socket) -> None:
    """Wait for the process, end what it left running, and tell its exit code."""
    code = process.wait()
    end_session(process.pid)
    with contextlib.suppress(OSError):
        leash.sendall(f"{code}\n".encode())


def start(words: list[str], descriptors: list[int], leash: socket.socket) -> subprocess.Popen[bytes] | None:
    """Start the process; None, and a line that tells why, where that cannot be."""
    try:  # nothing else runs yet, so that preexec_fn is safe
        process = subprocess.Popen(words, start_new_session=True, pass_fds=descriptors, preexec_fn=die_with_parent)
    except OSError as error:
        leash.sendall(f"error {error.strerror}: {error.filename or words[0]}\n".encode())
        return None
    threading.Thread(target=tell_the_end, args=(process, leash), daemon=True).start()
    return process


def main(words: list[str]) -> None:
    """Start the process, then wait until the caller lets go."""
    leash, folder = socket.socket(fileno=int(words[0])), words[1]
    descriptors = [int(number) for number in words[2].split(",") if number]
    process = start(words[3:], descriptors, leash) if words[3:] else None
    for descriptor in descriptors:
        os.close(descriptor)
    let_go_of_pipes()
    with contextlib.suppress(OSError):
        while leash.recv(1):
            pass
    if process is not None:
        end_session(process.pid)
        process.wait()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
