"""Validation on whole frames of clips that are not trained on, restored as the harness restores them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deblurbench.datasets.base import Clip, Dataset
from deblurbench.errors import MissingError, UsageError
from deblurbench.evaluation.restore import restored_frames
from deblurbench.evaluation.settings import Settings
from deblurbench.frames.convert import Frame8, to_8bit
from deblurbench.methods.base import Method
from deblurbench.registry.cards import Needs
from deblurbench.registry.protocol import Protocol
from deblurbench.training.recipe import Recipe

SIZE = (192, 320)
SEED = 1
NOTHING = Needs()


@dataclass(frozen=True)
class Held:
    """A held-out clip in memory: its 8-bit frames (H, W, 3), blurry and sharp, and which of them are scored."""

    name: str
    blurry: tuple[Frame8, ...]
    sharp: tuple[Frame8, ...]
    scored: tuple[int, ...]


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


def validate(method: Method, clips: Sequence[Held], device: str = "cpu", needs: Needs = NOTHING) -> Validation:
    """Restore whole clips as a run does, and compare those frames with the sharp ones that the protocol scores.

    The network is in evaluation mode during the call and as it was after it.

    Raises:
        ContractError: a restored frame has the wrong shape, NaN or infinite values.
    """
    settings = Settings(device=device, multiple_of=needs.multiple_of, window=needs.window, trains_on=True)
    restored, before = [], []
    network = method.network
    training = network is not None and network.training
    if network is not None:
        network.eval()
    for clip in clips:
        walk = restored_frames(method, iter(clip.blurry), settings)
        for position, (found, blurry, sharp) in enumerate(zip(walk, clip.blurry, clip.sharp, strict=True)):
            if position in clip.scored:
                restored.append(squared_error(found.rounded.frame, sharp))
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


def squared_error(one: Frame8, two: Frame8) -> float:
    """Mean squared error of two 8-bit frames (H, W, 3), on the 8-bit scale."""
    return float(np.square(one.astype(np.float64) - two).mean())


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error on the 8-bit scale; at most 99 dB."""
    return min(99.0, float(10 * np.log10(255**2 / error))) if error else 99.0


def held_out(dataset: Dataset, protocol: Protocol, recipe: Recipe, needs: Needs = NOTHING) -> list[Held]:
    """Clips for validation: an endless dataset's `valid` share, or the `valid` split; empty where there is neither.

    They are the same for every seed, so that runs can be compared. The test split is never looked at. A method that
    `needs` frames after the one it restores has them after the last scored frame, too, as in a run.
    """
    if not recipe.validation_clips:
        return []
    if hasattr(dataset, "training_source"):
        return list(_synthesised(dataset.training_source, protocol, recipe, _later(needs)))
    try:
        clips: Sequence[Clip] = dataset.clips(protocol, "valid")
    except (MissingError, UsageError, NotImplementedError):
        return []
    return first_frames_of(clips, protocol, recipe, needs)


def _later(needs: Needs) -> int:
    """Frames after a restored one that it depends on."""
    return 0 if needs.causal else needs.window


def first_frames_of(clips: Sequence[Clip], protocol: Protocol, recipe: Recipe, needs: Needs = NOTHING) -> list[Held]:
    """The first clips with ground truth, each as far as its first `validation_frames` scored frames reach.

    And as many frames after these as restoring them `needs`, where the clip has them.

    Raises:
        UsageError: there are such clips, but the protocol scores no frame of them.
    """
    chosen = [clip for clip in clips if clip.sharp is not None][: recipe.validation_clips]
    held = []
    for clip in chosen:
        scored = tuple(protocol.scored(len(clip))[: recipe.validation_frames])
        if scored:
            end = scored[-1] + 1 + _later(needs)
            blurry, sharp = (tuple(itertools.islice(side, end)) for side in (clip.blurry, clip.sharp or ()))
            held.append(Held(clip.name, blurry, sharp, scored))
    if chosen and not held:
        raise UsageError(
            f"protocol {protocol.name!r} scores no frame of the clips kept for validation: they have at most "
            f"{max(map(len, chosen))} frames. Train without: --set validation_clips=0."
        )
    return held


def _synthesised(make: Any, protocol: Protocol, recipe: Recipe, later: int) -> Iterator[Held]:
    first = protocol.leave_out[0]
    scored = tuple(range(first, first + recipe.validation_frames))
    shape = {"batch": 1, "frames": scored[-1] + 1 + later, "crop": SIZE, "seed": SEED, "device": "cpu"}
    source = make(protocol, **shape, share="valid", **recipe.synthesis)
    for number in range(recipe.validation_clips):
        batch = source.batch(number)
        blurry, sharp = (tuple(to_8bit(frame).frame for frame in side[0]) for side in (batch.blurry, batch.sharp))
        yield Held(batch.origin[0], blurry, sharp, scored)
