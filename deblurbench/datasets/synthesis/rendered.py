"""Whole clips on disk, in GOPRO's layout: made once into a cache folder, sealed by checksums, safe against a twin."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock

from deblurbench.datasets.base import Clip, Found, ImageFiles
from deblurbench.datasets.synthesis.exposure import Exposure
from deblurbench.datasets.synthesis.scene import Scene
from deblurbench.errors import DiskError, MissingError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.images import list_frames, write_png
from deblurbench.provenance import file_sha256
from deblurbench.registry.protocol import Protocol

ENVIRONMENT = "DEBLURBENCH_CACHE"
SIDES = ("blur", "blur_gamma", "sharp")
SEAL = "files.json"


class Shot(NamedTuple):
    """One exposure of a clip, each uint8 (H, W, 3): linear mean, gamma mean, and the middle sub-frame."""

    blur: Frame8
    blur_gamma: Frame8
    sharp: Frame8


@dataclass(frozen=True)
class PlannedClip:
    """A clip that can be made: where it belongs, and how to draw its scene."""

    split: str
    name: str
    frames: int
    draw: Callable[[], Scene]


def cache_root() -> Path:
    """Where rendered clips are kept: DEBLURBENCH_CACHE, or the user's cache folder."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("deblurbench"))


@torch.no_grad()
def shoot(scene: Scene) -> Iterator[Shot]:
    """Expose a scene window by window. Sub-frames are rounded to 8 bits first: a high-speed camera writes files."""
    for first in range(0, len(scene), scene.window):
        subframes = scene.exposures(first // scene.window, 1)[0].mul_(255.0).round_().to(torch.uint8)
        frames = [frame.permute(1, 2, 0).contiguous().numpy() for frame in subframes.cpu()]
        linear, gamma = Exposure("linear"), Exposure("gamma")
        for frame in frames:
            linear.add(frame)
            gamma.add(frame)
        yield Shot(linear.result(), gamma.result(), frames[scene.opened // 2])


def make_once(
    folder: Path,
    clips: Sequence[PlannedClip],
    check: Callable[[Path], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Render the clips below `folder` unless they are there, whole and unchanged.

    They are made in a temporary folder that is renamed when `check` has passed it; a second process waits. A folder
    whose files do not fit its own checksums is made anew. `progress(done, total)` counts frames.

    Raises:
        DiskError: no space or no permission.
    """
    if is_whole(folder):
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if not is_whole(folder):
                _make(folder, clips, check, progress)
    except OSError as error:
        raise DiskError(
            f"{folder}: the clips cannot be written ({error.strerror or error}). Free space, or name another folder by "
            f"{ENVIRONMENT} or --data-root."
        ) from error


def is_whole(folder: Path) -> bool:
    """Whether every file that the seal lists is there, byte for byte."""
    try:
        seal = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        return all(file_sha256(folder / name) == digest for name, digest in seal.items())
    except (OSError, ValueError, AttributeError, MissingError):
        return False


def find_rendered(folder: Path, protocol: Protocol, layout: str, notes: tuple[str, ...] = ()) -> Found:
    """The clips below `folder`/<split>/<clip>/{blur,blur_gamma,sharp}, blurry as the protocol says."""
    side = "blur" if protocol.blur == "linear" else "blur_gamma"
    splits = {
        split.name: tuple(_clip(clip, side) for clip in sorted(split.iterdir()) if clip.is_dir())
        for split in sorted(folder.iterdir())
        if split.is_dir()
    }
    return Found(layout, folder, splits, notes)


def _clip(folder: Path, side: str) -> Clip:
    blurry, sharp = (ImageFiles(tuple(list_frames(folder / name))) for name in (side, "sharp"))
    return Clip(folder.name, blurry, sharp, released=len(sharp.paths))


def _make(
    folder: Path,
    clips: Sequence[PlannedClip],
    check: Callable[[Path], None] | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    temporary = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        with _one_thread():
            _render(temporary, clips, progress)
        if check:
            check(temporary)
        _seal(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _render(folder: Path, clips: Sequence[PlannedClip], progress: Callable[[int, int], None] | None) -> None:
    done, total = 0, sum(clip.frames for clip in clips)
    for clip in clips:
        for number, shot in enumerate(shoot(clip.draw()), 1):
            for side, frame in zip(SIDES, shot, strict=True):
                write_png(folder / clip.split / clip.name / side / f"{number:06d}.png", frame)
            done += 1
            if progress:
                progress(done, total)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute in one thread: the pictures are small, and on a busy machine threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seal(folder: Path) -> None:
    files = sorted(f for f in folder.rglob("*") if f.is_file())
    seal = {file.relative_to(folder).as_posix(): file_sha256(file) for file in files}
    (folder / SEAL).write_text(json.dumps(seal, indent=0), encoding="utf-8")
