"""Recognising how frames lie on disk: trees of folders, pairs of blurry and sharp frames, and what is wrong with them.

Nothing here decodes a frame. A dataset reads its tree with `sequence_tree` or `side_tree` and makes clips with `pair`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from deblurbench.datasets.base import Clip, ImageFiles
from deblurbench.datasets.numbering import frame_number, numbering_gaps
from deblurbench.errors import FrameError
from deblurbench.frames.images import SUFFIXES, list_frames
from deblurbench.registry.cards import ExpectedClip
from deblurbench.text import composed, natural_key, some

Frames: TypeAlias = "Path | tuple[Path, ...]"
"""A folder of frames, or the files themselves."""

Tree: TypeAlias = "dict[str, dict[str, Frames]]"
"""Clip name to side ('sharp', 'linear', ...) to where its frames lie."""

Names: TypeAlias = "Mapping[str, Sequence[str]]"
"""Side to the folder names that mean it, the preferred one first."""

_PREFIXED = re.compile(r"^(?P<clip>.+)[-_](?P<number>\d+)$")


def subfolders(folder: Path) -> list[Path]:
    """Folders directly in `folder`, in natural order; hidden ones, broken links and link loops are passed over."""
    try:
        folders = [f for f in folder.iterdir() if not f.name.startswith(".") and f.is_dir()]
    except OSError:
        return []
    return sorted(folders, key=lambda f: (natural_key(f.name), f.name))


def child(folder: Path, names: Iterable[str]) -> Path | None:
    """The first folder in `folder` whose name is one of `names`, upper and lower case being the same."""
    by_lower = {f.name.lower(): f for f in reversed(subfolders(folder))}
    exact = {f.name: f for f in by_lower.values()} | {f.name: f for f in subfolders(folder)}
    for name in names:
        match = exact.get(name) or by_lower.get(name.lower())
        if match:
            return match
    return None


def places(root: Path | None, *below: str) -> list[Path]:
    """`root` itself, then the folders `below` it that exist (`a/b` for a folder in a folder)."""
    if root is None:
        return []
    existing = [root]
    for path in below:
        place: Path | None = root
        for part in path.split("/"):
            place = child(place, [part]) if place else None
        if place and place not in existing:
            existing.append(place)
    return existing


def sides_of(folder: Path, names: Names) -> dict[str, Frames]:
    """The sides that lie in `folder`, each in a separate folder."""
    sides = {side: child(folder, known) for side, known in names.items()}
    return {side: place for side, place in sides.items() if place}


def sequence_tree(folder: Path, names: Names) -> Tree:
    """Read `folder/<clip>/<side>/`. A folder without a blurry side, or whose sides hold folders, is no clip."""
    tree = {name: sides_of(clip, names) for name, clip in by_name((f.name, f) for f in subfolders(folder)).items()}
    tree = {clip: {s: f for s, f in sides.items() if _is_flat(f)} for clip, sides in tree.items()}
    return {clip: sides for clip, sides in tree.items() if _blurry_sides(sides)}


def side_tree(folder: Path, names: Names) -> Tree:
    """Read `folder/<side>/<clip>/`, or files `folder/<side>/<clip>-000047.png`; sides that lack a clip lack the key."""
    sides = sides_of(folder, names)
    if not _blurry_sides(sides):
        return {}
    tree: Tree = {}
    for side, place in sides.items():
        assert isinstance(place, Path)
        for clip, frames in clips_in(place).items():
            tree.setdefault(clip, {})[side] = frames
    return tree


def clips_in(folder: Path) -> dict[str, Frames]:
    """The clips of one side: a subfolder each, or files that begin with its name (`GOPR0384_11_00-000001.png`)."""
    folders: dict[str, Frames] = {**by_name((f.name, f) for f in subfolders(folder) if has_frames(f))}
    return folders or {clip: tuple(files) for clip, files in _by_prefix(files_of(folder)[0]).items()}


def by_name(places: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Places by their names, composed; where two differ in that alone, both keep the names that they have on disk."""
    named = dict(places)
    count = Counter(composed(name) for name in named)
    return {composed(name) if count[composed(name)] == 1 else name: place for name, place in named.items()}


def has_frames(folder: Path) -> bool:
    """Whether an image file lies directly in `folder`."""
    try:
        return any(f.suffix.lower() in SUFFIXES and not f.name.startswith(".") for f in folder.iterdir())
    except OSError:
        return False


def files_of(frames: Frames) -> tuple[tuple[Path, ...], list[str]]:
    """The files in natural order, and the problems met: an unreadable folder, or two files with one stem."""
    if not isinstance(frames, Path):
        return tuple(frames), []
    try:
        return tuple(list_frames(frames)), []
    except FrameError as error:
        return _unique(frames), [str(error)]
    except OSError as error:
        return (), [f"{frames}: cannot be listed ({error.strerror})"]


def pair(
    name: str,
    blurry: Frames,
    sharp: Frames | None,
    expected: ExpectedClip | None = None,
    notes: Sequence[str] = (),
) -> Clip:
    """A clip of the frames that both sides have, with what is wrong with it in `problems`.

    Frames are matched by their stems, never by their position. `expected` gives the released count, and says that
    the numbering advances by one. `sharp` is None where there is no ground truth.
    """
    blurry_files, problems = files_of(blurry)
    if not blurry_files:
        problems.append(f"{_where(blurry)}: no frames there ({', '.join(SUFFIXES)} are read)")
    sides = [{_stem(f) for f in blurry_files}]
    sharp_source = None
    if sharp is not None:
        sharp_files, more = files_of(sharp)
        sharp_stems = {_stem(f) for f in sharp_files}
        sides = (
            [sides[0] | sharp_stems] if sides[0] & sharp_stems else [sides[0], sharp_stems]
        )  # unlike names are not one numbering
        blurry_files, sharp_files, unmatched = _match(blurry_files, sharp_files, _where(blurry), _where(sharp))
        problems += more + unmatched
        sharp_source = ImageFiles(sharp_files)
    gaps = [numbering_gaps(sorted(stems, key=natural_key), step=1 if expected else None) for stems in sides]
    problems += dict.fromkeys(itertools.chain(*gaps))
    released = expected.frames if expected else None
    return Clip(name, ImageFiles(blurry_files), sharp_source, released, tuple(problems), tuple(notes))


def broken(name: str, problem: str, expected: ExpectedClip | None = None) -> Clip:
    """A clip that is there but cannot be run at all, and why."""
    return Clip(name, ImageFiles(()), ImageFiles(()), expected.frames if expected else None, (problem,))


def by_split(tree: Tree, splits: Mapping[str, Sequence[ExpectedClip]], other: str = "other") -> dict[str, Tree]:
    """Sort clips into the splits whose card lists them; unknown ones go to `other`."""
    of = {clip.name: split for split, clips in splits.items() for clip in clips}
    trees: dict[str, Tree] = {}
    for clip, sides in tree.items():
        trees.setdefault(of.get(clip, other), {})[clip] = sides
    return trees


def expected_clips(clips: Iterable[ExpectedClip]) -> dict[str, ExpectedClip]:
    """A split of a card by name."""
    return {clip.name: clip for clip in clips}


def is_renumbered(stems: Sequence[str], expected: ExpectedClip | None) -> bool:
    """Whether the frames' numbers lie outside those that were released. Unknown first numbers are not judged."""
    if expected is None or expected.first is None or not stems:
        return False
    first, last, start = frame_number(stems[0]), frame_number(stems[-1]), frame_number(expected.first)
    if first is None or last is None or start is None:
        return False
    return first < start or last >= start + expected.frames


def _is_flat(frames: Frames) -> bool:
    return not isinstance(frames, Path) or has_frames(frames) or not subfolders(frames)


def _blurry_sides(sides: Mapping[str, Frames]) -> list[str]:
    return [side for side in sides if side != "sharp"]


def _by_prefix(files: Iterable[Path]) -> dict[str, list[Path]]:
    clips: dict[str, list[Path]] = {}
    for file in files:
        match = _PREFIXED.match(_stem(file))
        if match:
            clips.setdefault(match["clip"], []).append(file)
    return clips


def _unique(folder: Path) -> tuple[Path, ...]:
    files = [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith(".")]
    files.sort(key=lambda f: (natural_key(f.name), f.name))
    return tuple({f.stem: f for f in reversed(files)}[stem] for stem in dict.fromkeys(f.stem for f in files))


def _match(
    blurry: tuple[Path, ...], sharp: tuple[Path, ...], blurry_where: str, sharp_where: str
) -> tuple[tuple[Path, ...], tuple[Path, ...], list[str]]:
    blurry_by, sharp_by = ({_stem(f): f for f in files} for files in (blurry, sharp))
    common = [stem for stem in blurry_by if stem in sharp_by]
    if not common:
        if not blurry_by or not sharp_by:
            return (
                blurry,
                sharp,
                [] if not blurry_by else [f"{sharp_where}: no frames there, {len(blurry_by)} in {blurry_where}"],
            )
        names = f"{blurry_where}: {some(list(blurry_by))}; {sharp_where}: {some(list(sharp_by))}"
        return blurry, sharp, [f"no blurry frame has a sharp namesake ({names}); frames are matched by name"]
    problems = _unmatched(blurry_by, sharp_by, blurry_where) + _unmatched(sharp_by, blurry_by, sharp_where)
    if problems:
        problems = [f"{len(blurry_by)} blurry and {len(sharp_by)} sharp frames: {'; '.join(problems)}"]
    return tuple(blurry_by[s] for s in common), tuple(sharp_by[s] for s in common), problems


def _unmatched(these: Mapping[str, Path], others: Mapping[str, Path], where: str) -> list[str]:
    alone = [stem for stem in these if stem not in others]
    return [f"only in {where}: {some(alone)}"] if alone else []


def _stem(file: Path) -> str:
    return composed(file.stem)


def _where(frames: Frames) -> str:
    if isinstance(frames, Path):
        return str(frames)
    return str(frames[0].parent) if frames else "(no files)"
