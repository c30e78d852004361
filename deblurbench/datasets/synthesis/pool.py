"""Training clips from a pool: rendered once, then drawn again with another crop, direction, exposure and noise.

Rendering a pixel costs about as much as training on it. A clip of the pool is larger and longer than what a step sees,
and holds both averages, so that it yields many different training clips.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from torch import Tensor

from deblurbench.datasets.synthesis.dice import Dice
from deblurbench.datasets.synthesis.exposure import average, quantise
from deblurbench.datasets.synthesis.photos import Photo
from deblurbench.datasets.synthesis.recipe import Recipe
from deblurbench.datasets.synthesis.rendered import cache_root
from deblurbench.datasets.synthesis.scene import draw_scene
from deblurbench.datasets.synthesis.source import TrainingBatch, TrainingSource, noise_like
from deblurbench.errors import UsageError
from deblurbench.registry.cards import Frozen

VERSION = 1
LINEAR, GAMMA, SHARP = range(3)
SIDES = 3
STREAM = 1  # of random draws: clips of the pool and batches never share one
NONE = -1


class PoolSettings(Frozen):
    """What a recipe says of a pool, under `synthesis.pool`."""

    clips: int = Field(default=1000, ge=1)
    frames: int = Field(default=12, ge=1)
    side: int = Field(default=160, ge=16)
    first: int = Field(default=16, ge=1)
    fresh: float = Field(default=1.0, ge=0)
    seed: int = Field(default=0, ge=0)

    @classmethod
    def read(cls, settings: Mapping[str, Any], frames: int, crop: int) -> PoolSettings:
        """From a recipe's mapping, for clips of `frames` frames and `crop` pixels a side.

        Raises:
            UsageError: an unknown key, a value out of range, or clips that are smaller than what a step sees.
        """
        try:
            pool = cls.model_validate(dict(settings))
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"synthesis.pool.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        if pool.frames < frames or pool.side < crop:
            raise UsageError(
                f"synthesis.pool: clips of {pool.frames} frames and {pool.side} pixels are smaller than a step's "
                f"({frames} frames, {crop} pixels). Raise pool.frames or pool.side, or lower frames or crop."
            )
        return pool


class Pool:
    """Clips in files below a folder, uint8 (T, 3, 3, H, W): plain averages, gamma averages, sharp frames; RGB.

    Clip number n lies in slot n modulo `size`. It is rendered when it is first asked for, and replaced by a later one.
    Processes may share a folder: a clip follows from its number, so they write the same bytes. Whose clip a slot holds
    is written last.
    """

    def __init__(self, folder: Path, photos: list[Photo], recipe: Recipe, size: int, frames: int, side: int) -> None:
        self.photos, self.recipe, self.size, self.frames, self.side = photos, recipe, size, frames, side
        folder.mkdir(parents=True, exist_ok=True)
        shape = (size, frames, SIDES, 3, side, side)
        self._pixels: NDArray[np.uint8] = _mapped(folder / "clips.u8", np.uint8, shape, 0)
        self._held: NDArray[np.int64] = _mapped(folder / "held.i64", np.int64, (size,), NONE)

    def clip(self, number: int, seed: int) -> NDArray[np.uint8]:
        """Clip `number` (T, 3, 3, H, W), as a view of the file."""
        slot = number % self.size
        if self._held[slot] != number:
            self._held[slot] = NONE
            self._pixels[slot] = self._render(Dice(seed, STREAM, number))
            self._held[slot] = number
        return self._pixels[slot]

    @torch.no_grad()
    def _render(self, dice: Dice) -> NDArray[np.uint8]:
        scene = draw_scene(dice, self.photos, self.recipe, self.frames, self.side, self.side)
        frames = []
        for first in range(self.frames):
            subframes = quantise(scene.exposures(first, 1)[0])
            middle = subframes[scene.opened // 2]
            frames.append(torch.stack([average(subframes, "linear", 0), average(subframes, "gamma", 0), middle]))
        return torch.stack(frames).mul_(255).round_().clamp_(0, 255).to(torch.uint8).numpy()


class PooledSource(TrainingSource):
    """A pure function from the step's number to a batch, as its base class, drawn from a pool of rendered clips.

    The first step draws from `first` clips. Each step adds `fresh` to them (a mean: 0.1 is one in ten steps), until the
    pool holds `clips`; from then on each new one replaces the oldest. Settings of the recipe that concern rendering are
    the pool's; exposure and noise are drawn with every use. The pool has its own `seed`, so that trainings of
    several seeds can share it.
    """

    workers = 1

    def __init__(
        self,
        photos: list[Photo],
        recipe: Recipe,
        *,
        batch: int,
        frames: int,
        crop: int,
        seed: int,
        pool: Mapping[str, Any],
    ) -> None:
        super().__init__(photos, recipe, batch=batch, frames=frames, crop=crop, seed=seed)
        self.settings = PoolSettings.read(pool, frames, crop)
        size, length, side = self.settings.clips, self.settings.frames, self.settings.side
        folder = cache_root() / "pools" / _digest(photos, recipe, size, length, side, self.settings.seed)
        self.pool = Pool(folder, photos, recipe, size, length, side)

    def batch(self, step: int) -> TrainingBatch:
        """The batch of one step (0, 1, 2, ...)."""
        made = self.settings.first + int(step * self.settings.fresh)
        clips = [self._drawn(Dice(self.seed, step, item), made) for item in range(self.size)]
        blurry, sharp, origin = zip(*clips, strict=True)
        return TrainingBatch(torch.stack(blurry), torch.stack(sharp), list(origin))

    def _drawn(self, dice: Dice, made: int) -> tuple[Tensor, Tensor, str]:
        number = dice.integer(max(0, made - self.pool.size), made - 1)
        clip = self.pool.clip(number, self.settings.seed)
        first = dice.integer(0, self.pool.frames - self.frames)
        y, x = (dice.integer(0, self.pool.side - self.height) for _ in range(2))
        piece = torch.from_numpy(clip[first : first + self.frames, ..., y : y + self.height, x : x + self.width])
        kind = dice.pick(self.recipe.kinds)
        blurry, sharp = self._exposed(dice, turned(dice, piece), kind == "gamma")
        return blurry, sharp, f"pool {number} frame {first} at {y},{x} {kind}"

    def _exposed(self, dice: Dice, piece: Tensor, gamma: bool) -> tuple[Tensor, Tensor]:
        """uint8 (T, 3, 3, h, w) to blurry and sharp frames (T, 3, h, w) in [0, 1], with noise."""
        blurry, sharp = (piece[:, side].float().div_(255) for side in (GAMMA if gamma else LINEAR, SHARP))
        blurry = blurry + dice.uniform(0, self.recipe.noise) * noise_like(dice, blurry)
        return quantise(blurry), sharp


def turned(dice: Dice, piece: Tensor) -> Tensor:
    """One of the eight symmetries of the square, forwards or backwards in time, of (T, ..., h, w)."""
    if dice.chance(0.5):
        piece = piece.flip(0)
    if dice.chance(0.5):
        piece = piece.flip(-1)
    return torch.rot90(piece, dice.integer(0, 3), (-2, -1))


def _mapped(path: Path, dtype: type, shape: tuple[int, ...], fill: int) -> Any:
    """An array in a file, made with `fill` everywhere unless it is there."""
    if not path.exists():
        made = np.memmap(path, dtype, "w+", shape=shape)
        if fill:
            made[:] = fill
            made.flush()
    return np.memmap(path, dtype, "r+", shape=shape)


def _digest(photos: list[Photo], recipe: Recipe, *sizes: int) -> str:
    """A name for the pool by all that its clips follow from."""
    pixels = hashlib.sha256()
    for photo in photos:
        pixels.update(photo.pixels.numpy().tobytes())
    drawn_with_every_use = {"noise", "kinds"}
    of = {"version": VERSION, "recipe": recipe.model_dump(exclude=drawn_with_every_use), "sizes": sizes}
    told = json.dumps({**of, "photographs": [p.name for p in photos], "pixels": pixels.hexdigest()}, sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
