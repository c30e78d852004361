"""Endless training clips."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from deblurbench.datasets.synthesis.dice import Dice
from deblurbench.datasets.synthesis.exposure import Kind, average, quantise
from deblurbench.datasets.synthesis.photos import Photo
from deblurbench.datasets.synthesis.recipe import Recipe
from deblurbench.datasets.synthesis.scene import Scene, draw_scene


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
        self,
        photos: list[Photo],
        recipe: Recipe,
        *,
        batch: int,
        frames: int,
        crop: int | tuple[int, int],
        seed: int,
        spread: bool = False,
    ) -> None:
        self.spread = spread
        """Whether photographs come in turn and speeds are spread evenly: few clips then stand for all, as held-out
        ones must."""
        self.photos, self.recipe = photos, recipe
        self.size, self.frames, self.seed = batch, frames, seed
        self.height, self.width = (crop, crop) if isinstance(crop, int) else crop
        beside = photos[0].pixels.device.type != "cpu"
        self.together = frames if beside else 1
        """Exposures rendered at once: a GPU wants few and large operations, a CPU what fits into its caches."""
        self.workers = 2 if beside else 1
        """Threads that make batches; on the CPU one, which leaves the cores to the model."""

    @property
    def contents(self) -> list[str]:
        """Names of the photographs."""
        return [photo.name for photo in self.photos]

    def batch(self, step: int) -> TrainingBatch:
        """The batch of one step (0, 1, 2, ...)."""
        clips = [self._clip(Dice(self.seed, step, item), step * self.size + item) for item in range(self.size)]
        blurry, sharp, origin = zip(*clips, strict=True)
        return TrainingBatch(torch.stack(blurry), torch.stack(sharp), list(origin))

    @torch.no_grad()
    def _clip(self, dice: Dice, number: int) -> tuple[Tensor, Tensor, str]:
        recipe, behind = self.recipe, None
        if self.spread:
            recipe = recipe.model_copy(update={"speed": (between(recipe.speed, number),) * 2})
            behind = self.photos[number % len(self.photos)]
        scene = draw_scene(dice, self.photos, recipe, self.frames, self.height, self.width, behind=behind)
        kind, noise = dice.pick(self.recipe.kinds), dice.uniform(0, self.recipe.noise)
        firsts = range(0, self.frames, self.together)
        pairs = [_expose(scene, first, min(self.together, self.frames - first), kind) for first in firsts]
        blurry, sharp = (torch.cat(side) for side in zip(*pairs, strict=True))
        blurry = blurry + noise * noise_like(dice, blurry)
        return quantise(blurry), quantise(sharp), f"{scene.origin} {kind}"


def between(span: tuple[float, float], number: int) -> float:
    """The number-th of a sequence whose every beginning is spread evenly over a span, on a logarithmic scale.

    The fractions are van der Corput's: 0, 1/2, 1/4, 3/4, 1/8, ...
    """
    digits = f"{number:b}"[::-1]
    return span[0] * (span[1] / span[0]) ** (int(digits, 2) / 2 ** len(digits))


def _expose(scene: Scene, first: int, count: int, kind: Kind) -> tuple[Tensor, Tensor]:
    """Consecutive exposures: their means, and their middle sub-frames. Each (count, 3, H, W)."""
    subframes = scene.exposures(first, count)
    return average(subframes, kind, dim=1), subframes[:, scene.opened // 2]


def noise_like(dice: Dice, like: Tensor) -> Tensor:
    """Standard normal noise of a tensor's shape, drawn on its device."""
    generator = torch.Generator(like.device).manual_seed(dice.integer(0, 2**31 - 1))
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
