"""What the loop needs before its first step: method, data, optimiser, devices, and the state it resumes from."""

from __future__ import annotations

import inspect
import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from deblurbench.backends.device import prefer_channels_last, resolve_device, set_precision_flags
from deblurbench.backends.random_weights import random_outside_network
from deblurbench.datasets.base import Dataset, folders_of
from deblurbench.datasets.opening import open_dataset, trainable_datasets
from deblurbench.errors import MissingError, UsageError
from deblurbench.methods.base import Method
from deblurbench.methods.losses import content
from deblurbench.methods.parameters import how_to_store
from deblurbench.methods.weights.files import load_weights, seen_by, trained_as
from deblurbench.provenance import file_sha256
from deblurbench.registry.by_path import find_method
from deblurbench.registry.cards import MethodCard, Needs
from deblurbench.registry.discovery import Plugin
from deblurbench.registry.protocol import Protocol
from deblurbench.text import counted
from deblurbench.training import checkpoint as saved
from deblurbench.training.average import Average
from deblurbench.training.optimiser import make_optimiser
from deblurbench.training.recipe import Recipe, TrainRequest, read_recipe
from deblurbench.training.run import CHECKPOINT, Data, LossModule, Ranks, Run
from deblurbench.training.sources import FileSource, Source
from deblurbench.training.validation import first_frames_of, held_out


def prepare(request: TrainRequest) -> Run:
    """Build a run, from the start or from its checkpoint.

    Raises:
        UsageError: unknown names, a bad recipe, an output folder of another run, a checkpoint that does not fit.
        MissingError: no data.
    """
    found, card, variant, recipe = resolve(request)
    _check_output(request)
    state = _earlier(request, card, variant, recipe)
    ranks = Ranks.of_environment()
    device = _device(request.device, ranks)
    set_precision_flags("fp32")  # as `run` computes; bf16 is autocast's
    torch.manual_seed(request.seed)
    method: Method = found.load()(**card.variants[variant].parameters)
    _check_trainable(method, found, card, variant, request.seed)
    _initialise(method, recipe, request)
    started_from = state.started_from if state else _start(method, card, recipe, request)
    run = _assemble(request, recipe, card, variant, method, device, ranks)
    run.started_from = started_from
    _check_length(run)
    if state:
        data = run.data
        saved.check_same_data(
            state, run.checkpoint_file, data=data.name, trained_on=data.trained_on, contents=data.contents,
            world=ranks.world,
        )  # fmt: skip
        run.resume(state)
    return run


def _check_length(run: Run) -> None:
    if run.recipe.epochs and run.recipe.steps and hasattr(run.data.source, "steps_per_epoch"):
        raise UsageError(
            f"recipe {run.request.recipe!r} has a length in epochs ({run.recipe.epochs}) and in steps "
            f"({run.recipe.steps}). Give one: --set epochs=null, or --set steps=null."
        )


def resolve(request: TrainRequest) -> tuple[Plugin, MethodCard, str, Recipe]:
    """What a request names: the method, its card, the variant, and the recipe with its settings.

    Raises:
        UsageError: an unknown name, nothing to train, a bad recipe, or a crop that the method does not take.
    """
    found = find_method(request.method)
    card = found.card
    assert isinstance(card, MethodCard)
    variant = _variant(card, request.variant)
    recipe = read_recipe(card, request.recipe, request.settings)
    _check_crop(recipe, card, card.needs_of(variant))
    _check_frames(recipe, request.recipe, card, variant)
    return found, card, variant, recipe


def _assemble(
    request: TrainRequest, recipe: Recipe, card: MethodCard, variant: str, method: Method, device: str, ranks: Ranks
) -> Run:
    method.content = content(recipe.loss, recipe.loss_floor)
    module = LossModule(method).to(device)
    if recipe.channels_last:
        prefer_channels_last(module)
    optimiser = make_optimiser(module, recipe)
    average = Average(module.network, recipe.ema) if recipe.ema else None
    data = _data(request, recipe, card.needs_of(variant), device)
    return Run(request, recipe, card, variant, method, module, optimiser, average, data, device, ranks)


def _variant(card: MethodCard, wanted: str | None) -> str:
    if not card.trainable:
        raise UsageError(f"method {card.name!r} has nothing to train")
    return card.known_variant(wanted)


def _check_trainable(method: Method, found: Plugin, card: MethodCard, variant: str, seed: int) -> None:
    outside = random_outside_network(method, lambda: found.load()(**card.variants[variant].parameters), seed)
    if outside:
        raise UsageError(f"method {card.name!r}: {how_to_store(outside)}")
    if method.network is None:
        raise UsageError(f"method {card.name!r} has nothing to train: its class sets no self.network")
    if type(method).loss is Method.loss:
        raise UsageError(
            f"method {card.name!r} has no training loss: write `loss(self, blurry, sharp)` in its class "
            "(CONTRIBUTING.md, Training)."
        )


def _check_crop(recipe: Recipe, card: MethodCard, needs: Needs) -> None:
    each, least = needs.multiple_of, max(needs.min_size, needs.multiple_of)
    if recipe.crop % each or recipe.crop < least:
        fits = max(recipe.crop // each, math.ceil(least / each)) * each
        raise UsageError(
            f"crop {recipe.crop}: {card.name!r} takes multiples of {each}, at least {least} pixels a side. "
            f"Use --set crop={fits}."
        )


def _check_frames(recipe: Recipe, name: str, card: MethodCard, variant: str) -> None:
    """Refuse clips in which a frame has none of the neighbours that the method reads."""
    window = card.needs_of(variant).window
    if recipe.frames <= window:
        usual = card.variants[variant].recipe
        raise UsageError(
            f"recipe {name!r} shows clips of {counted(recipe.frames, 'frame')}, but '{card.name}:{variant}' reads "
            f"{window} on either side. Use --set frames={window + 2} or more"
            f"{f', or --recipe {usual}' if usual != name else ''}."
        )


def _check_output(request: TrainRequest) -> None:
    if (request.output / CHECKPOINT).exists() and not request.resume:
        raise UsageError(
            f"{request.output}: already holds a training run. Add --resume to go on with it, "
            "or choose another --output."
        )


def _earlier(request: TrainRequest, card: MethodCard, variant: str, recipe: Recipe) -> saved.Checkpoint | None:
    if not request.resume:
        return None
    path = request.output / CHECKPOINT
    state = saved.read(path)
    saved.check_same(state, path, method=card.name, variant=variant, recipe=recipe.model_dump(mode="json"))
    if state.seed != request.seed:
        raise UsageError(f"{path}: this run has seed {state.seed}, not {request.seed}. Use --seed {state.seed}.")
    start = _start_file(request.start_from) if request.start_from else None
    if start and start.is_file() and file_sha256(start) != state.started_from.get("sha256"):
        began = f"from {state.started_from['name']}" if state.started_from else "without --start-from"
        raise UsageError(f"{path}: this run began {began}; --start-from {request.start_from} is no part of it.")
    return state


def _device(wanted: str, ranks: Ranks) -> str:
    """The device of this process; of several that torchrun started, each has its own."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda":
        wanted = f"cuda:{ranks.local}"
    device = resolve_device(wanted)
    if device != "cpu":
        torch.cuda.set_device(device)
    return device


def _initialise(method: Method, recipe: Recipe, request: TrainRequest) -> None:
    known = inspect.signature(method.initialise).parameters
    for key, value in recipe.initialise.items():
        if key in known and isinstance(known[key].default, bool) and not isinstance(value, bool):
            raise UsageError(
                f"recipe {request.recipe!r}, key 'initialise.{key}': found {value!r}, must be true or false"
            )
    try:
        method.initialise(**recipe.initialise)
    except TypeError as error:
        raise UsageError(
            f"recipe {request.recipe!r}, key 'initialise': {error}. See the method's `initialise`."
        ) from error
    except NotImplementedError as error:
        raise UsageError(
            f"recipe {request.recipe!r}, key 'initialise': {error}. Leave it out with --set initialise={{}}, "
            "or write the method's `initialise`."
        ) from error


def _start(method: Method, card: MethodCard, recipe: Recipe, request: TrainRequest) -> dict[str, Any]:
    """Load the weights that a training begins with, a file or a trained folder's; their name, sha256, training data.

    Raises:
        MissingError: they are not there. UsageError: they do not fit, or the recipe needs some and none are given.
    """
    start = request.start_from
    if start is None and recipe.fine_tunes:
        raise UsageError(
            f"recipe {request.recipe!r} of {card.name!r} fine-tunes {recipe.fine_tunes}: "
            "give --start-from FILE or a trained folder."
        )
    if start is None:
        return {}
    assert method.network is not None
    file = _start_file(start)
    if not file.is_file():
        raise MissingError(f"--start-from {start}: no weights there. Give a .safetensors file or a trained folder.")
    variant = card.variants.get(trained_as(file, card) or "")
    parameters = variant.parameters if variant else {}
    load_weights(method.network, file, lambda weights: method.adopt(weights, parameters))
    return {"name": start.name, "sha256": file_sha256(file), "trained_on": list(seen_by(file, card))}


def _start_file(start: Path) -> Path:
    return start / "weights.safetensors" if start.is_dir() else start


def _data(request: TrainRequest, recipe: Recipe, needs: Needs, device: str) -> Data:
    name = f"{request.dataset}:{request.protocol}" if request.protocol else request.dataset
    dataset, protocol = open_dataset(name, os.pathsep.join(map(str, request.roots)) or None)
    shape: dict[str, Any] = {
        "batch": recipe.batch,
        "frames": recipe.frames,
        "crop": recipe.crop,
        "seed": request.seed,
        "device": device,
    }
    if hasattr(dataset, "training_source"):
        source = _endless(dataset, protocol, shape, recipe)
        share = f"{request.dataset}/train"
        roots = _names_of(request.roots) if dataset.card.several_roots else []
        seen = tuple(f"{share}/{name}" for name in roots) or (share,)
        return Data(source, held_out(dataset, protocol, recipe, needs), seen, protocol.name)
    held = held_out(dataset, protocol, recipe, needs)
    clips, kept = _split(dataset, protocol, 0 if held or not recipe.validation_clips else recipe.hold_out)
    source = FileSource(clips, noise=recipe.noise, turned=recipe.augment == "symmetries", **shape)
    held = held or first_frames_of(kept, protocol, recipe, needs)
    return Data(source, held, tuple(f"{request.dataset}/train/{clip.name}" for clip in clips), protocol.name)


def _names_of(roots: Sequence[Path]) -> list[str]:
    """Names of folders, as weights' cards tell them; those that share one are told with their parents'."""
    places = list(dict.fromkeys(place for root in roots for place in folders_of(root)))
    counts = Counter(place.name for place in places)
    return [place.name if counts[place.name] == 1 else f"{place.parent.name}/{place.name}" for place in places]


def _endless(dataset: Any, protocol: Protocol, shape: dict[str, Any], recipe: Recipe) -> Source:
    try:
        source: Source = dataset.training_source(protocol, **shape, **recipe.synthesis)
    except TypeError as error:
        raise UsageError(
            f"dataset {dataset.card.name!r} does not take the recipe's 'synthesis' settings {recipe.synthesis}: "
            f"{error}. Leave them out with --set synthesis={{}}."
        ) from error
    return source


def _split(dataset: Dataset, protocol: Protocol, hold_out: int) -> tuple[list[Any], list[Any]]:
    """Training clips, and those of the training split that are kept for validation (the last ones).

    Raises:
        UsageError: nobody can train on this dataset. MissingError: it has no training clips here.
    """
    card = dataset.card
    if card.not_for_training:
        raise UsageError(
            f"dataset {card.name!r} cannot be trained on. {' '.join(card.not_for_training.split())} "
            f"Datasets that can be trained on: {', '.join(trainable_datasets())}."
        )
    try:
        clips = dataset.clips(protocol, "train")
    except (MissingError, UsageError) as error:
        reason = str(error).partition("\n")[0]  # what follows is advice for `run`
        raise MissingError(
            f"dataset {card.name!r} has no training split here: {reason}\n{dataset.how_to_get()}"
        ) from error
    keep = min(hold_out, len(clips) - 1)
    return clips[: len(clips) - keep], clips[len(clips) - keep :]
