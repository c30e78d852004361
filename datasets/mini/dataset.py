"""The embedded dataset: clips of photographs that lie as files in the scikit-image wheel. Nothing is downloaded.

Test clips come from four colour photographs that are stored as PNG, so that every machine reads the same pixels.
Validation and training take other photographs, so that nothing of a test clip has been seen by a method trained on
`mini`:

* test: astronaut, chelsea, coffee, motorcycle_left (its right-hand twin is used nowhere)
* valid: rocket
* train: brick, camera, coins, grass, gravel (grey), hubble_deep_field, ihc (colour)
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch

from deblurbench.datasets.base import Found
from deblurbench.datasets.synthesis.dataset import SynthesisedDataset
from deblurbench.datasets.synthesis.dice import Dice
from deblurbench.datasets.synthesis.photos import Photo, Share, read_photo
from deblurbench.datasets.synthesis.recipe import Recipe
from deblurbench.datasets.synthesis.rendered import PlannedClip, cache_root, find_rendered, make_once
from deblurbench.datasets.synthesis.scene import Scene, draw_scene
from deblurbench.errors import MissingError
from deblurbench.registry.protocol import Protocol

from .manifest import check, read_manifest

NAME = "mini-v1"
FRAMES, HEIGHT, WIDTH = 12, 180, 320
PHOTOGRAPHS: dict[Share, tuple[str, ...]] = {
    "test": ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png"),
    "valid": ("rocket.jpg",),
    "train": (
        "brick.png",
        "camera.png",
        "coins.png",
        "grass.png",
        "gravel.png",
        "hubble_deep_field.jpg",
        "ihc.png",
    ),
}  # fmt: skip
BASE = Recipe(twist=(0.1, 0.4), oversample=2.0, gained=0.0, noise=0.0)


@dataclass(frozen=True)
class MiniClip:
    """How one clip is made: photograph, seed, sub-frames per exposure, pixels per exposure, scale, objects."""

    name: str
    photograph: str
    seed: int
    window: int
    speed: float
    shrink: float
    objects: int

    def recipe(self) -> Recipe:
        """The recipe whose ranges are these values."""
        return BASE.changed(
            {
                "windows": (self.window,),
                "speed": (self.speed, self.speed),
                "shrink": (self.shrink, self.shrink),
                "objects": (self.objects, self.objects),
            }
        )


TEST = (
    MiniClip("astronaut-far", "astronaut.png", 44, 11, 6.5, 1.35, 1),
    MiniClip("astronaut-near", "astronaut.png", 7, 7, 8.1, 1.0, 0),
    MiniClip("chelsea-far", "chelsea.png", 64, 13, 11.7, 1.15, 1),
    MiniClip("chelsea-near", "chelsea.png", 25, 9, 12.5, 1.0, 0),
    MiniClip("coffee-far", "coffee.png", 112, 11, 7.9, 1.5, 2),
    MiniClip("coffee-near", "coffee.png", 23, 7, 7.9, 1.0, 1),
    MiniClip("motorcycle-far", "motorcycle_left.png", 26, 13, 5.5, 1.8, 0),
    MiniClip("motorcycle-near", "motorcycle_left.png", 41, 11, 6.5, 1.0, 2),
)
VALID = (
    MiniClip("rocket-far", "rocket.jpg", 58, 13, 17.1, 1.5, 1),
    MiniClip("rocket-near", "rocket.jpg", 23, 13, 20.0, 1.0, 0),
)


class Mini(SynthesisedDataset):
    """Eight test clips of 12 frames, 320x180, made on first use; endless clips for training."""

    def find(self, protocol: Protocol) -> Found:
        """The clips, made on first use (seconds).

        Raises:
            MissingError: scikit-image's files are not there, or what was rendered is not `mini`.
            DiskError: the cache cannot be written; DEBLURBENCH_CACHE or --data-root names another place.
        """
        self.prepare(protocol)
        folder = self._folder()
        notes = tuple(json.loads((folder / "notes.json").read_text(encoding="utf-8")))
        return find_rendered(folder, protocol, "mini, rendered here", notes)

    def prepare(
        self, protocol: Protocol, progress: Callable[[int, int], None] | None = None, output: Path | None = None
    ) -> None:
        """Render the clips unless they exist, and hold them to the manifest."""
        plan = [
            PlannedClip(split, clip.name, FRAMES, partial(draw, clip, split))
            for split, clips in (("test", TEST), ("valid", VALID))
            for clip in clips
        ]
        make_once(self._folder(output), plan, _checked, progress)

    def photographs(self, share: Share) -> dict[str, Path]:
        """scikit-image's photographs of one share.

        Raises:
            MissingError: a file is not there.
        """
        return files(PHOTOGRAPHS[share])

    def _folder(self, output: Path | None = None) -> Path:
        base = output or self.root or cache_root()
        return base if base.name == NAME else base / NAME


def draw(clip: MiniClip, share: Share) -> Scene:
    """One clip's scene in float64; its objects are cut from the share's photographs."""
    photos = {name: photo(name) for name in PHOTOGRAPHS[share]}
    return draw_scene(
        Dice(clip.seed),
        list(photos.values()),
        clip.recipe(),
        FRAMES,
        HEIGHT,
        WIDTH,
        torch.float64,
        photos[clip.photograph],
    )


@cache
def photo(name: str) -> Photo:
    """One of scikit-image's photographs at its full size."""
    return Photo.of(name, read_photo(files([name])[name]))


def files(names: Iterable[str]) -> dict[str, Path]:
    """Photographs by name as they lie in the installed scikit-image, which is not imported.

    Raises:
        MissingError: a file is not there.
    """
    spec = importlib.util.find_spec("skimage")
    places = [Path(place) / "data" for place in (spec.submodule_search_locations or [])] if spec else []
    existing = {name: place / name for name in names for place in places if (place / name).is_file()}
    missing = [name for name in names if name not in existing]
    if missing:
        raise MissingError(
            f"scikit-image's own photographs are not there: {', '.join(missing)} not found in "
            f"{', '.join(map(str, places)) or 'an installed scikit-image'}. Install its wheel: pip install scikit-image"
        )
    return existing


def _checked(folder: Path) -> None:
    """Hold a fresh rendering to the manifest, and keep what every table must say."""
    notes = check(folder / "test", read_manifest())
    (folder / "notes.json").write_text(json.dumps(notes), encoding="utf-8")
