"""A run's folder, held against a second process and against another request."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import filelock

from deblurbench.errors import DamagedError, DiskError, UsageError
from deblurbench.results.manifest import Request
from deblurbench.results.store import Store


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold a run's folder against a second process, and clear away what a killed one left half written.

    Raises:
        UsageError: another process is writing there, or the folder holds files that are no run.
        DiskError: the folder cannot be made or written.
    """
    refuse_strangers(folder)
    with hold(folder):
        for place in (folder.glob(".*.part"), *((folder / name).rglob(".*.part") for name in ("parts", "frames"))):
            for left in place:  # the report is another's to write, also now
                left.unlink(missing_ok=True)
        yield


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is not there, against a second process that asks for it.

    Raises:
        UsageError: another process is writing there. DiskError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UsageError(f"{folder}: another run is writing here. Wait for it, or name another --output.") from None
    except OSError as error:
        raise DiskError(f"{folder}: cannot be written ({error.strerror}). Name another --output.") from error
    try:
        yield
    finally:
        lock.release()


def refuse_strangers(folder: Path) -> None:
    """See that a folder is not there, is empty, or holds a run. Hidden files do not count.

    Raises:
        UsageError: it holds something else.
    """
    others = sorted(f.name for f in folder.iterdir() if not f.name.startswith(".")) if folder.is_dir() else []
    if others and not (folder / "run.json").is_file() and not (folder / "parts").is_dir():
        raise UsageError(f"{folder}: not empty and no run ({', '.join(others[:4])}). Name another --output.")


def check_folder(folder: Path, request: Request, fresh: bool) -> None:
    """See that a folder is empty, or holds a run of the same request; with `fresh`, clear that run away.

    Raises:
        UsageError: another request's run, or files that are no run.
    """
    refuse_strangers(folder)
    if fresh:
        for name in ("parts", "frames", "logs", "report"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("run.json", "scores.csv", "timings.csv"):
            (folder / name).unlink(missing_ok=True)
        return
    if not (folder / "run.json").is_file():
        return
    try:
        before = Store(folder).read_manifest().request
    except DamagedError:
        return  # every part says itself what it was made of
    lines = [
        f"  {name}: {getattr(before, name)!r} there, {getattr(request, name)!r} asked"
        for name in Request.model_fields
        if getattr(before, name) != getattr(request, name)
    ]
    if lines:
        raise UsageError(
            f"{folder} holds a run of another request:\n" + "\n".join(lines) + "\nName another --output, "
            "repeat that request to resume it, or start over with --fresh."
        )
