"""Files written whole or not at all, and what may lie where a file was expected: a web page, a Git LFS pointer."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from deblurbench.errors import DiskError, UsageError

WEB_PAGE = (b"<!doctype", b"<html", b"<?xml")
PART = ".part"
LFS_POINTER = b"version https://git-lfs"


def not_the_file(start: bytes, expected: str) -> str | None:
    """What a file is that cannot be `wanted`, by its first 200 bytes; None where it may be."""
    lower = start.lstrip().lower()
    if not start:
        return "the file is empty"
    if lower.startswith(WEB_PAGE):
        return f"a web page, not {expected}; looks like a download error page"
    if lower.startswith(LFS_POINTER):
        return f"a Git LFS pointer, not {expected}; run 'git lfs pull'"
    return None


def create_beside(path: Path, suffix: str = PART) -> tuple[int, Path]:
    """An open descriptor of a new hidden file in the folder of `path`, and its name, which ends in `suffix`.

    The file's mode follows the process's umask, which `tempfile` does not.

    Raises:
        OSError: it cannot be created.
    """
    temporary = _hidden(path, suffix)
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), temporary


def _hidden(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}{suffix}")


def resolved(path: Path) -> Path:
    """A path made absolute, links and `~` followed.

    Raises:
        UsageError: a loop of symbolic links.
    """
    path = path.expanduser()
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: pathlib's word for a loop of links, before Python 3.13
        raise UsageError(f"{path}: a loop of symbolic links leads nowhere. Name the file or folder itself.") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes beside `path`, then rename onto it. Parents are made.

    Raises:
        DiskError: no space, no permission; nothing half-written is left under `path`.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = create_beside(path)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:  # Ctrl-C, too, leaves no half file behind
        if temporary:
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise DiskError(
            f"{path}: cannot be written ({error.strerror}). Free space or choose another --output; "
            "what was finished before is kept, and the same command resumes."
        ) from error


@contextlib.contextmanager
def unfinished(target: Path, folder: bool = False, inside: bool = False) -> Iterator[Path]:
    """A hidden file (or folder) beside `target`, or `inside` it, to be written and then renamed; removed if it is not.

    It is locked as long as this process lives. What a killed process left for the same target is removed first: nobody
    holds it.

    Raises:
        OSError: it cannot be made.
    """
    parent = target if inside else target.parent
    parent.mkdir(parents=True, exist_ok=True)
    name = resolved(target).name
    for left in parent.glob(f".{glob.escape(name[:60])}.????????{PART}"):
        _remove_unheld(left)
    if folder:
        place = _hidden(parent / name, PART)
        place.mkdir()
        handle = os.open(place, os.O_RDONLY)
    else:
        handle, place = create_beside(parent / name)
    try:
        _lock(handle)
        yield place
    finally:
        os.close(handle)
        _remove(place)


def _lock(handle: int) -> bool:
    """Hold an open file or folder until it is closed; whether nobody else holds it."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):  # Windows, or a file system without locks: then nothing is known, nothing removed
        return False
    return True


def _remove_unheld(left: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(left, os.O_RDONLY)
        try:
            if _lock(handle):
                _remove(left)
        finally:
            os.close(handle)


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)
