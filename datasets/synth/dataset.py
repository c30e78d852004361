"""Clips synthesised from any folder of photographs: endless for training, a fixed set for evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from deblurbench.datasets.base import Found, folders_of
from deblurbench.datasets.synthesis.dataset import SynthesisedDataset
from deblurbench.datasets.synthesis.dice import Dice
from deblurbench.datasets.synthesis.photos import Photo, Share, find_photos, load_photos, shares
from deblurbench.datasets.synthesis.recipe import Recipe
from deblurbench.datasets.synthesis.rendered import PlannedClip, cache_root, find_rendered, make_once
from deblurbench.datasets.synthesis.scene import Scene, draw_scene
from deblurbench.errors import MissingError
from deblurbench.registry.protocol import Protocol

VERSION = 1
VALID_CLIPS = 2
FEWEST = 3


class Synth(SynthesisedDataset):
    """A virtual camera moving over the photographs under the root (several folders: joined as in PATH)."""

    def find(self, protocol: Protocol) -> Found:
        """The clips of the test and validation shares, rendered into the cache when they are not there."""
        self.prepare(protocol)
        return find_rendered(self._folder(), protocol, "synthesised from photographs")

    def prepare(
        self, protocol: Protocol, progress: Callable[[int, int], None] | None = None, output: Path | None = None
    ) -> None:
        """Render the test and validation clips into the cache (or below `output`)."""
        make_once(self._folder(output), [*self._plan("test"), *self._plan("valid")], progress=progress)

    def photographs(self, share: Share) -> dict[str, Path]:
        """Files of one share by name.

        Raises:
            MissingError: there are too few to share out.
        """
        files = find_photos(self.folders())
        if len(files) < FEWEST:
            raise MissingError(
                f"{self.root}: {len(files)} photograph(s) (.jpg or .png) here; at least {FEWEST} are needed: training, "
                f"validation and test never share one.\n{self.how_to_get()}"
            )
        names = set(shares(list(files))[share])
        return {name: path for name, path in files.items() if name in names}

    def folders(self) -> list[Path]:
        """The folders that the root names.

        Raises:
            MissingError: one of them is not there.
        """
        folders = folders_of(self.root)
        for folder in folders:
            if not folder.is_dir():
                raise MissingError(f"{folder}: no such folder.\n{self.how_to_get()}")
        return folders

    def _folder(self, output: Path | None = None) -> Path:
        """Where the clips are kept: named by a digest of the recipe and the photographs' names and sizes in bytes."""
        files = find_photos(self.folders())
        facts = {
            "version": VERSION,
            "recipe": Recipe().model_dump(),
            "parameters": self.parameters,
            "photographs": {name: path.stat().st_size for name, path in files.items()},
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return (output or cache_root()) / f"synth-{digest[:16]}"

    def _plan(self, share: Share) -> list[PlannedClip]:
        """The clips of a share. The photographs are read when the first clip is drawn."""
        count = self.parameters.get("clips", 16) if share == "test" else VALID_CLIPS
        frames = self.parameters.get("frames", 12)
        photos: list[Photo] = []
        return [
            PlannedClip(share, f"{share}-{number:03d}", frames, partial(self._draw, share, number, photos))
            for number in range(1, count + 1)
        ]

    def _draw(self, share: Share, number: int, photos: list[Photo]) -> Scene:
        if not photos:
            photos += load_photos(self.photographs(share))
        given = self.parameters
        size = given.get("height", 180), given.get("width", 320)
        dice = Dice(VERSION, {"test": 1, "valid": 2}[share], number)
        behind = photos[number % len(photos)]
        return draw_scene(dice, photos, Recipe(), given.get("frames", 12), *size, torch.float64, behind)
