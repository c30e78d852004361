"""Clips synthesised from any folder of photographs: endless for training, a fixed set for evaluation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from deblurbench.datasets.base import Dataset
from deblurbench.errors import MissingError
from deblurbench.protocol import Protocol
from deblurbench.synthesis.photos import Share, find_photos, load_photos, shares
from deblurbench.synthesis.recipe import Recipe
from deblurbench.synthesis.source import TrainingSource


class Synth(Dataset):
    """A virtual camera moving over the photographs under the root (several folders: separated as in PATH)."""

    def training_source(
        self, protocol: Protocol, *, batch: int, frames: int, crop: int, seed: int, device: str = "cpu", **settings: Any
    ) -> TrainingSource:
        """Endless batches from the training share of the photographs; `settings` replace ranges of the Recipe.

        Raises:
            MissingError: no photographs. UsageError: a setting that the recipe does not have.
        """
        recipe = Recipe().changed(settings)
        photos = load_photos(self.photographs("train"), device)
        return TrainingSource(photos, recipe, batch=batch, frames=frames, crop=crop, seed=seed)

    def photographs(self, share: Share) -> dict[str, Path]:
        """Files of one share by name."""
        files = find_photos(self.folders())
        if not files:
            raise MissingError(f"{self.root}: no .jpg or .png photographs here.\n{self.how_to_get()}")
        wanted = set(shares(list(files))[share])
        return {name: path for name, path in files.items() if name in wanted}

    def folders(self) -> list[Path]:
        """The folders that the root names.

        Raises:
            MissingError: one of them is not there.
        """
        folders = [Path(part).expanduser() for part in str(self.root or "").split(os.pathsep) if part]
        for folder in folders:
            if not folder.is_dir():
                raise MissingError(f"{folder}: no such folder.\n{self.how_to_get()}")
        return folders
