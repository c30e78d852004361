"""Validation on whole frames of clips that are not trained on, restored as the harness restores them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deblurbench.datasets.base import Clip, Dataset
from deblurbench.errors import MissingError, UsageError
from deblurbench.frames import Frame8, crop_to, pad_to_multiple, to_8bit, to_float
from deblurbench.methods.base import Method
from deblurbench.protocol import Protocol
from deblurbench.training.recipe import Recipe

SIZE = (192, 320)
SEED = 1


@dataclass(frozen=True)
class Held:
    """A held-out clip in memory: name, and its 8-bit frames (H, W, 3), blurry and sharp."""

    name: str
    blurry: tuple[Frame8, ...]
    sharp: tuple[Frame8, ...]


@dataclass(frozen=True)
class Validation:
    """PSNR in dB over the held-out clips and the blurry input's: means over frames, and of the pooled squared error.

    `pooled` is what weights are chosen by. The mean over frames is ruled by frames that were nearly sharp already,
    where a tenth of a grey level moves it by decibels; the pooled value follows what the loss minimises.
    """

    psnr: float
    identity: float
    pooled: float
    pooled_identity: float
    frames: int


def validate(method: Method, clips: Sequence[Held], device: str = "cpu", multiple_of: int = 1) -> Validation:
    """Restore whole clips through Method.restore, round to 8 bits, and compare with the sharp frames.

    The network is in evaluation mode during the call and as it was after it.
    """
    restored, before = [], []
    network = method.network
    training = network is not None and network.training
    if network is not None:
        network.eval()
    for clip in clips:
        for frame, blurry, sharp in zip(
            _restore(method, clip, device, multiple_of), clip.blurry, clip.sharp, strict=True
        ):
            restored.append(squared_error(frame, sharp))
            before.append(squared_error(blurry, sharp))
    if network is not None:
        network.train(training)
    return Validation(
        psnr=float(np.mean([psnr(error) for error in restored])),
        identity=float(np.mean([psnr(error) for error in before])),
        pooled=psnr(float(np.mean(restored))),
        pooled_identity=psnr(float(np.mean(before))),
        frames=len(restored),
    )


@torch.no_grad()
def _restore(method: Method, clip: Held, device: str, multiple_of: int) -> list[Frame8]:
    height, width = clip.blurry[0].shape[:2]
    frames = (pad_to_multiple(to_float(frame, device), multiple_of) for frame in clip.blurry)
    return [to_8bit(crop_to(frame, height, width)).frame for frame in method.restore(frames)]


def squared_error(one: Frame8, two: Frame8) -> float:
    """Mean squared error of two 8-bit frames (H, W, 3), on the 8-bit scale."""
    return float(np.square(one.astype(np.float64) - two).mean())


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error on the 8-bit scale; at most 99 dB."""
    return min(99.0, float(10 * np.log10(255**2 / error))) if error else 99.0


def held_out(dataset: Dataset, protocol: Protocol, recipe: Recipe, kept: Sequence[Clip]) -> list[Held]:
    """Clips for validation: an endless dataset's `valid` share, else the `valid` split, else the clips `kept`.

    They are the same for every seed, so that runs can be compared. The test split is never looked at.
    """
    count, frames = recipe.validation_clips, recipe.validation_frames
    if not count:
        return []
    if hasattr(dataset, "training_source"):
        return list(_synthesised(dataset.training_source, protocol, recipe))
    try:
        clips: Sequence[Clip] = dataset.clips(protocol, "valid")
    except (MissingError, UsageError, NotImplementedError):
        clips = kept
    chosen = [clip for clip in clips if clip.sharp is not None][:count]
    return [_first(clip, frames) for clip in chosen]


def _first(clip: Clip, frames: int) -> Held:
    assert clip.sharp is not None
    return Held(clip.name, *(tuple(itertools.islice(side, frames)) for side in (clip.blurry, clip.sharp)))


def _synthesised(make: Any, protocol: Protocol, recipe: Recipe) -> Iterator[Held]:
    shape = {"batch": 1, "frames": recipe.validation_frames, "crop": SIZE, "seed": SEED, "device": "cpu"}
    source = make(protocol, **shape, share="valid", **recipe.synthesis)
    for number in range(recipe.validation_clips):
        batch = source.batch(number)
        sides = ([to_8bit(frame).frame for frame in side[0]] for side in (batch.blurry, batch.sharp))
        yield Held(batch.origin[0], *(tuple(side) for side in sides))
