"""Single images, each a clip of one frame: RealBlur, HIDE and other sets of photographs, of any sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from deblurbench.datasets.base import Clip, ImageFiles
from deblurbench.datasets.layouts import broken, sides_of, subfolders
from deblurbench.errors import MissingError
from deblurbench.frames.images import SUFFIXES
from deblurbench.text import composed, natural_key, some

DEPTH = 4
"""Folders below the root that are searched."""
Images = dict[str, list[Path]]
"""The files of a side by the name that both sides share."""


def image_clips(root: Path, names: Mapping[str, Sequence[str]]) -> tuple[Clip, ...]:
    """A clip for every image below the blurry folders of `root`; `names` lists how the folders of each side are called.

    Sides lie side by side at any depth (`blur/` and `gt/` in each scene's folder, as RealBlur has them), or all that
    lies outside the one sharp folder is blurry (HIDE). Images are matched by their names, without the side's name in
    them (`blur_1` and `gt_1`).

    Raises:
        MissingError: no blurry image has a sharp one of its name.
    """
    blurry: Images = {}
    sharp: Images = {}
    for folder, sides in _scenes(root, names):
        begin = folder.relative_to(root).parts
        _add(blurry, sides["blurry"], begin)
        if "sharp" in sides:
            _add(sharp, sides["sharp"], begin)
    if not blurry:
        blurry, sharp = _around_the_sharp(root, names)
    if sharp and blurry and not blurry.keys() & sharp.keys():
        raise MissingError(
            f"dataset 'folder': no blurry image has a sharp one of its name ({some(list(blurry))}; {some(list(sharp))})"
        )
    return tuple(_clip(name, blurry.get(name), sharp.get(name), bool(sharp)) for name in {**blurry, **sharp})


def _scenes(
    folder: Path, names: Mapping[str, Sequence[str]], depth: int = DEPTH
) -> Iterator[tuple[Path, dict[str, Path]]]:
    """The folders that hold a blurry side, and their sides."""
    sides = {side: place for side, place in sides_of(folder, names).items() if isinstance(place, Path)}
    if "blurry" in sides:
        yield folder, sides
    elif depth and "sharp" not in sides:
        for below in subfolders(folder):
            yield from _scenes(below, names, depth - 1)


def _around_the_sharp(root: Path, names: Mapping[str, Sequence[str]]) -> tuple[Images, Images]:
    """Blurry images that lie in any folder beside the sharp one, which names them all; or blurry ones alone."""
    blurry: Images = {}
    sharp: Images = {}
    place = sides_of(root, {"sharp": names["sharp"]}).get("sharp")
    if not isinstance(place, Path):
        _add(blurry, root, ())
        return blurry, sharp
    _add(sharp, place, ())
    for folder in subfolders(root):
        if folder != place:
            _add(blurry, folder, (), flat=True)
    return blurry, sharp


def _add(images: Images, side: Path, begin: tuple[str, ...], flat: bool = False) -> None:
    """Sort the images below a side's folder under their names; `flat` leaves out the folders between."""
    files = [f for f in side.rglob("*") if f.suffix.lower() in SUFFIXES and not f.name.startswith(".")]
    of_side = re.compile(rf"^{re.escape(side.name)}[-_]|[-_]{re.escape(side.name)}$", re.IGNORECASE)
    for file in sorted(files, key=lambda f: natural_key(str(f))):
        between = () if flat else file.relative_to(side).parent.parts
        name = "-".join((*begin, *between, of_side.sub("", file.stem) or file.stem))
        images.setdefault(composed(name), []).append(file)


def _clip(name: str, blurry: Sequence[Path] | None, sharp: Sequence[Path] | None, paired: bool) -> Clip:
    for side, files in (("blurry", blurry), ("sharp", sharp)):
        if files and len(files) > 1:
            return broken(name, f"{len(files)} {side} images of one name: {some([str(f) for f in files])}")
        if not files and (paired or side == "blurry"):
            return broken(name, f"no {side} image of this name")
    assert blurry
    return Clip(name, ImageFiles(tuple(blurry)), ImageFiles(tuple(sharp)) if sharp else None)
