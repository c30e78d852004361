"""Endless training clips."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from deblurbench.synthesis.dice import Dice
from deblurbench.synthesis.exposure import Kind, average, quantise
from deblurbench.synthesis.photos import Photo
from deblurbench.synthesis.recipe import Recipe
from deblurbench.synthesis.scene import Scene, draw_scene


class TrainingBatch(NamedTuple):
    """B clips of T frames: float32 RGB (B, T, 3, h, w) in [0, 1], multiples of 1/255; where each came from."""

    blurry: Tensor
    sharp: Tensor
    origin: list[str]


class TrainingSource:
    """A pure function from the step's number to a batch: training that is resumed sees what it would have seen.

    Batches are rendered on the photographs' device. The same seed and step give the same clips on every machine, up
    to the last bit of floating-point arithmetic, which rounding to 8 bits hides almost always.
    """

    def __init__(
        self, photos: list[Photo], recipe: Recipe, *, batch: int, frames: int, crop: int | tuple[int, int], seed: int
    ) -> None:
        self.photos, self.recipe = photos, recipe
        self.size, self.frames, self.seed = batch, frames, seed
        self.height, self.width = (crop, crop) if isinstance(crop, int) else crop

    @property
    def contents(self) -> list[str]:
        """Names of the photographs."""
        return [photo.name for photo in self.photos]

    def batch(self, step: int) -> TrainingBatch:
        """The batch of one step (0, 1, 2, ...)."""
        clips = [self._clip(Dice(self.seed, step, item)) for item in range(self.size)]
        blurry, sharp, origin = zip(*clips, strict=True)
        return TrainingBatch(torch.stack(blurry), torch.stack(sharp), list(origin))

    @torch.no_grad()
    def _clip(self, dice: Dice) -> tuple[Tensor, Tensor, str]:
        scene = draw_scene(dice, self.photos, self.recipe, self.frames, self.height, self.width)
        kind, noise = dice.pick(self.recipe.kinds), dice.uniform(0, self.recipe.noise)
        pairs = [_expose(scene, frame, kind) for frame in range(self.frames)]
        blurry, sharp = (torch.stack(side) for side in zip(*pairs, strict=True))
        blurry = blurry + noise * _noise(dice, blurry)
        return quantise(blurry), quantise(sharp), f"{scene.origin} {kind}"


def _expose(scene: Scene, frame: int, kind: Kind) -> tuple[Tensor, Tensor]:
    """One exposure: its mean, and its middle sub-frame. Each (3, H, W)."""
    subframes = scene.render(frame * scene.window, scene.window)
    return average(subframes, kind, dim=0), subframes[scene.window // 2]


def _noise(dice: Dice, like: Tensor) -> Tensor:
    """Standard normal noise of a tensor's shape, drawn on its device."""
    generator = torch.Generator(like.device).manual_seed(dice.integer(0, 2**31 - 1))
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
