"""Digests of run.json, scores.csv and timings.csv, kept beside the parts, by which an edited digit is known.

They are written before the file itself, together with those of its earlier states: whatever a crash leaves, the file
is one of them, and an edited one is none. Runs of earlier versions have no digests and are read as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from deblurbench.errors import MissingError
from deblurbench.frames.files import write_atomically
from deblurbench.provenance import file_sha256
from deblurbench.registry.documents import DocumentError, read_json

PLACE = Path("parts", "digests")
STATES = 4  # of a file that are remembered: somebody may read while a run writes


def record(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Note the digests of files of a run's folder that are about to be written.

    Raises:
        DiskError: no space or no permission.
    """
    known = read(folder) or {}
    states = dict(known)
    for name, content in contents.items():
        now = hashlib.sha256(content).hexdigest()
        before = known.get(name) or _present(folder / name)
        states[name] = [now, *(digest for digest in before if digest != now)][:STATES]
    if states != known:
        write_atomically(folder / PLACE, (json.dumps(states, indent=1) + "\n").encode())


def edited(folder: Path) -> tuple[str, ...]:
    """Names of the files that are not as the run wrote them; the digests' own where they cannot be read."""
    return _edited(folder) and _edited(folder)  # a run that is writing may have changed one between two looks


def _edited(folder: Path) -> tuple[str, ...]:
    known = read(folder)
    if known is None:
        return (str(PLACE),)
    present = {name: _present(folder / name) for name in known}
    return tuple(name for name, states in known.items() if present[name] and present[name][0] not in states)


def read(folder: Path) -> dict[str, list[str]] | None:
    """The digests by file name, the newest first; empty where there are none, None where they are damaged."""
    if not (folder / PLACE).exists():
        return {}
    try:
        known = read_json(folder / PLACE)
    except DocumentError:
        return None
    if not isinstance(known, dict) or not all(isinstance(states, list) for states in known.values()):
        return None
    return known


def _present(file: Path) -> list[str]:
    try:
        return [file_sha256(file)]
    except MissingError:
        return []
