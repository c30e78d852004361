"""What may lie where a file was to be: nothing, a web page, or a Git LFS pointer."""

from __future__ import annotations

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
