"""A dataset whose clips are synthesised from photographs: what `mini` and `synth` share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deblurbench.datasets.base import Dataset
from deblurbench.datasets.synthesis.photos import Share, load_photos
from deblurbench.datasets.synthesis.pool import PooledSource
from deblurbench.datasets.synthesis.recipe import Recipe
from deblurbench.datasets.synthesis.source import TrainingSource
from deblurbench.registry.protocol import Protocol


class SynthesisedDataset(Dataset):
    """Endless training clips from one share of the dataset's photographs."""

    def photographs(self, share: Share) -> dict[str, Path]:
        """Files of one share by name.

        Raises:
            MissingError: they are not there.
        """
        raise NotImplementedError

    def training_source(
        self,
        protocol: Protocol,
        *,
        batch: int,
        frames: int,
        crop: int | tuple[int, int],
        seed: int,
        device: str = "cpu",
        share: Share = "train",
        pool: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> TrainingSource:
        """Endless batches from one share of the photographs; `settings` replace ranges of the Recipe.

        With `pool` (its keys: clips, frames, side, fresh, seed; see PooledSource) training clips are rendered once and
        drawn again. Held-out clips never are.

        Raises:
            MissingError: no photographs.
            UsageError: a setting that the recipe does not have.
        """
        recipe = Recipe().changed(settings)
        photos = load_photos(self.photographs(share), device)
        if pool is not None and share == "train":
            assert isinstance(crop, int)
            return PooledSource(photos, recipe, batch=batch, frames=frames, crop=crop, seed=seed, pool=pool)
        return TrainingSource(photos, recipe, batch=batch, frames=frames, crop=crop, seed=seed, spread=share == "valid")
