"""Digests of a dataset's files beside them, in the format of sha256sum.

What changed shows by them in formats without checksums, too: JPEG, BMP, TIFF, WebP, video.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deblurbench.datasets.base import Clip, ImageFiles
from deblurbench.errors import MissingError, UsageError
from deblurbench.frames.files import write_atomically
from deblurbench.frames.video import VideoSource
from deblurbench.provenance import file_sha256
from deblurbench.text import counted

FILE = "SHA256SUMS"
CHECKED = (".png",)
"""Suffixes of frames whose format holds checksums, by which decoding notices every flipped bit."""
_LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)")
_STAMP = re.compile(r"# (\d+) bytes, changed (\d+) ns")


@dataclass(frozen=True)
class Entry:
    """A file's digest; its size in bytes and time of change in ns when it was taken, None where another program did."""

    sha256: str
    stamp: tuple[int, int] | None = None


@dataclass(frozen=True)
class Sums:
    """The digests that lie in a folder, by paths relative to it."""

    folder: Path
    entries: dict[str, Entry]

    def faults(self, clip: Clip, deep: bool = False) -> list[str]:
        """What of a clip's files is not as recorded. Files of the same size and time are trusted unless `deep`."""
        return [fault for path in files_of_clip(clip) if (fault := self._fault(path, deep))]

    def lacks(self, path: Path) -> bool:
        """Whether nothing is recorded of a file."""
        return _relative(path, self.folder) not in self.entries

    def _fault(self, path: Path, deep: bool) -> str:
        entry = self.entries.get(_relative(path, self.folder))
        if entry is None:
            return ""
        try:
            if (not deep and entry.stamp == _stamp(path)) or file_sha256(path) == entry.sha256:
                return ""
        except (OSError, MissingError):
            return f"{path}: recorded in {FILE}, and cannot be read"
        return (
            f"{path}: other bytes than {self.folder / FILE} records; copy it again, or delete that one and record again"
        )


def folder_of(root: Path) -> Path:
    """Where the digests of a data root lie: in it, or beside it where it is a single file."""
    return root if root.is_dir() else root.parent


def read_sums(root: Path) -> Sums | None:
    """The digests of a data root; None where there are none.

    Raises:
        UsageError: the file is not one of sha256sum.
    """
    file = folder_of(root) / FILE
    if not file.is_file():
        return None
    entries: dict[str, Entry] = {}
    stamp = None
    for number, line in enumerate(file.read_text("utf-8", errors="surrogateescape").splitlines(), 1):
        seen = _STAMP.fullmatch(line)
        if seen:
            stamp = int(seen[1]), int(seen[2])
            continue
        if line and not line.startswith("#"):
            digest = _LINE.fullmatch(line)
            if digest is None:
                raise UsageError(
                    f"{file}: line {number} is none of sha256sum's ({line[:60]!r}); mend or delete the file"
                )
            name = re.sub(r"\\(.)", _unescaped, digest[3]) if digest[1] else digest[3]
            entries[name.removeprefix("./")] = Entry(digest[2].lower(), stamp)
        stamp = None
    return Sums(folder_of(root), entries)


def record_sums(root: Path, clips: Iterable[Clip]) -> tuple[Path, int]:
    """Write the digests of the files of all clips; the file, and how many are in it.

    Raises:
        MissingError: a file cannot be read.  DiskError: the folder cannot be written.
    """
    folder = folder_of(root)
    lines: dict[str, str] = {}
    for clip in clips:
        for path in files_of_clip(clip):
            name = _relative(path, folder)
            size, time = _stamp(path)
            plain = re.sub(r"[\\\n\r]", _escaped, name)
            mark = "\\" if plain != name else ""
            lines[name] = f"# {size} bytes, changed {time} ns\n{mark}{file_sha256(path)}  {plain}\n"
    file = folder / FILE
    write_atomically(file, "".join(lines.values()).encode("utf-8", errors="surrogateescape"))
    return file, len(lines)


def files_of_clip(clip: Clip) -> Iterator[Path]:
    """The files of a clip's two sides."""
    for source in (clip.blurry, clip.sharp):
        if isinstance(source, ImageFiles):
            yield from source.paths
        elif isinstance(source, VideoSource):
            yield source.path


def unchecked_note(clips: Sequence[Clip], sums: Sums | None) -> list[str]:
    """A note for tables: image files in formats without checksums, of which no digests are recorded."""
    files = [f for clip in clips for s in (clip.blurry, clip.sharp) if isinstance(s, ImageFiles) for f in s.paths]
    open_ones = [f for f in files if f.suffix.lower() not in CHECKED and (sums is None or sums.lacks(f))]
    if not open_ones:
        return []
    kinds = ", ".join(sorted({f.suffix.lower() for f in open_ones}))
    return [
        f"unchecked: {counted(len(open_ones), 'frame file')} in formats without checksums ({kinds}), in which flipped "
        "bits do not show; 'data verify --record' keeps digests to hold them to"
    ]


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES[match[0]]


def _unescaped(match: re.Match[str]) -> str:
    return {"n": "\n", "r": "\r"}.get(match[1], match[1])
