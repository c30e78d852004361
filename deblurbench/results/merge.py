"""`deblurbench merge`: shards of one request as one run on disk."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deblurbench.errors import DiskError, UsageError
from deblurbench.results.join import join_manifests, refuse_unlike
from deblurbench.results.lock import claim
from deblurbench.results.manifest import Manifest
from deblurbench.results.run import Run
from deblurbench.results.store import GROUND_TRUTH, Part, Store

OF_A_CLIP = {"clip", "frames", "data"}
"""Entries of a part's key that differ between clips of one method."""


def merge(folders: Sequence[Path], output: Path, command: str = "") -> Manifest:
    """Write the run that several shards make together into `output`; they stay as they are.

    Parts are copied; frames and logs are linked where the file system can, else copied. The result is a run like one
    that was never divided: the same request resumes it.

    Raises:
        UsageError: no shards of one request, overlapping or missing ones, or `output` is not empty.
        DiskError: `output` cannot be written.
    """
    runs = [Run.open(folder) for folder in folders]
    reason = refuse_unlike(runs) or _unlike_parts(runs)
    if reason:
        raise UsageError(f"{reason}. Nothing was written.")
    if output.is_dir() and any(not file.name.startswith(".") for file in output.iterdir()):
        raise UsageError(f"{output}: not empty. Name another --output.")
    manifest = join_manifests([run.manifest for run in runs]).model_copy(update={"command": command})
    with claim(output):
        store = Store(output)
        for run in runs:
            _copy(run, store, manifest)
        _write(store, manifest)
    return manifest


def _unlike_parts(runs: Sequence[Run]) -> str:
    """Which part of two runs was computed differently: by another version, code or data set; empty where none was."""
    known: dict[str, tuple[Run, dict[str, Any]]] = {}
    for run in runs:
        for part in parts_of(run):
            other, expected = known.setdefault(part.outcome.method, (run, part.key))
            names = sorted((expected.keys() | part.key.keys()) - OF_A_CLIP)
            changed = [name for name in names if expected.get(name) != part.key.get(name)]
            if changed:
                return (
                    f"{other.folder} and {run.folder} are no shards of one request: {part.outcome.method} was computed "
                    f"with another {', '.join(changed)}"
                )
    return ""


def parts_of(run: Run) -> Iterator[Part]:
    """The parts of a run, which is left as it is.

    Raises:
        DamagedError: one is damaged.
    """
    for method in run.manifest.methods:
        for clip in run.manifest.clips:
            part = run.store.look_at_part(method.id, clip.name)
            if part:
                yield part


def _copy(run: Run, store: Store, manifest: Manifest) -> None:
    clips = [clip.name for clip in run.manifest.clips]
    for method in [*(method.id for method in manifest.methods), GROUND_TRUTH]:
        for clip in clips:
            _link(run.store.part_file(method, clip), store.part_file(method, clip))
            _link(run.store.frames_folder(method, clip), store.frames_folder(method, clip))
        log = run.store.log_file(method)
        if log.is_file():
            _append(log, store.log_file(method))


def _link(source: Path, target: Path) -> None:
    """A file, or a folder of files, under another path: parts are rewritten by rename, and PNGs never."""
    if not source.exists():
        return
    for file in sorted(source.iterdir()) if source.is_dir() else [source]:
        place = target / file.name if source.is_dir() else target
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):
                os.link(file, place)
                continue
            shutil.copyfile(file, place)
        except OSError as error:
            raise DiskError(
                f"{place}: cannot be written ({error.strerror}). Free space, or name another --output."
            ) from error


def _append(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as log, target.open("ab") as whole:
            shutil.copyfileobj(log, whole)
    except OSError as error:
        raise DiskError(f"{target}: cannot be written ({error.strerror}). Name another --output.") from error


def _write(store: Store, manifest: Manifest) -> None:
    methods = {method.id: at for at, method in enumerate(manifest.methods)}
    clips = {clip.name: at for at, clip in enumerate(manifest.clips)}
    manifest.outcomes.sort(key=lambda outcome: (methods[outcome.method], clips[outcome.clip]))
    store.write_manifest(manifest)
    store.write_tables(manifest, parts_of(Run(store.folder, manifest)))
