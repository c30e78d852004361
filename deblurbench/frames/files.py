"""Files written whole or not at all, and what may lie where a file was expected: a web page, a Git LFS pointer."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from deblurbench.errors import DiskError

WEB_PAGE = (b"<!doctype", b"<html", b"<?xml")
LFS_POINTER = b"version https://git-lfs"


def not_the_file(start: bytes, wanted: str) -> str | None:
    """What a file is that cannot be `wanted`, told from its first 200 bytes; None where it may be."""
    lower = start.lstrip().lower()
    if not start:
        return "the file is empty"
    if lower.startswith(WEB_PAGE):
        return f"a web page, not {wanted}; looks like a download error page"
    if lower.startswith(LFS_POINTER):
        return f"a Git LFS pointer, not {wanted}; run 'git lfs pull'"
    return None


def create_beside(path: Path, suffix: str = ".part") -> tuple[int, Path]:
    """An open descriptor of a new hidden file in the folder of `path`, and its name, which ends in `suffix`.

    The file's mode follows the process's umask, which `tempfile` does not.

    Raises:
        OSError: it cannot be created.
    """
    temporary = path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}{suffix}")
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), temporary


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
