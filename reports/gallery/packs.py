"""Scripts that hold the pictures of a frame once more, for what needs their pixels on a page from the disk.

A browser shows files beside a page from the disk, and lets no script read their pixels; a script it does load. A pack
is loaded only when a person points at a picture or saves a crop.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from deblurbench.frames.files import write_atomically

from .pictures import Gallery, Moment

BASE64 = 4 / 3


def write(gallery: Gallery, folder: Path, budget: int) -> Gallery:
    """Write the packs that fit into `budget` bytes, one frame of every clip after the other; the gallery with them."""
    packed: dict[tuple[str, str], str] = {}
    for clip, moment in _in_turn(gallery):
        names = [shot.file for shot in moment.shots]
        size = BASE64 * sum((folder / name).stat().st_size for name in names)
        if not names or size > budget:
            break
        budget -= int(size)
        target = Path(names[0]).with_name(f"{Path(names[0]).stem}.js").as_posix()
        write_atomically(folder / target, _script(folder, names))
        packed[clip, moment.frame] = target
    moments = {
        clip: tuple(replace(moment, pack=packed.get((clip, moment.frame), "")) for moment in found)
        for clip, found in gallery.moments.items()
    }
    return replace(gallery, moments=moments)


def _in_turn(gallery: Gallery) -> Iterator[tuple[str, Moment]]:
    """The middle moment of every clip, then the others: the middle one is shown first."""
    orders = {
        clip: sorted(found, key=lambda m: m is not found[len(found) // 2]) for clip, found in gallery.moments.items()
    }
    for place in range(max(map(len, orders.values()), default=0)):
        yield from ((clip, found[place]) for clip, found in orders.items() if place < len(found))


def _script(folder: Path, names: list[str]) -> bytes:
    files = {
        name: f"data:image/webp;base64,{base64.b64encode((folder / name).read_bytes()).decode()}" for name in names
    }
    return f"window.deblurbench.pack({json.dumps(files)});\n".encode("ascii")
