"""What the loop needs before its first step: method, data, optimiser, devices, and the state it resumes from."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deblurbench.cards import MethodCard, Needs
from deblurbench.datasets.base import Dataset, folders_of
from deblurbench.errors import MissingError, UsageError, counted
from deblurbench.isolated import find_device, prefer_channels_last, set_precision_flags
from deblurbench.methods.base import Method
from deblurbench.methods.content import content
from deblurbench.methods.parameters import how_to_store, parameters_outside, random_places
from deblurbench.outside import find_method
from deblurbench.planning import open_dataset, trainable_datasets
from deblurbench.protocol import Protocol
from deblurbench.provenance import file_sha256
from deblurbench.rooms import Plugin
from deblurbench.training import checkpoint as saved
from deblurbench.training.average import Average
from deblurbench.training.optimiser import Together, make_optimiser
from deblurbench.training.pace import Spent, Sums
from deblurbench.training.recipe import Recipe, TrainRequest, read_recipe
from deblurbench.training.sources import FileSource, Source
from deblurbench.training.validation import Held, first_frames_of, held_out
from deblurbench.weights import load_weights, seen_by, trained_as

CHECKPOINT = "checkpoint.pt"


class LossModule(nn.Module):
    """A method's loss as a module, so that DistributedDataParallel and torch.compile can wrap it."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        assert method.network is not None
        self.network = method.network
        self.training_only = method.training_only or nn.Module()
        self._loss = method.loss

    def forward(self, blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Named parts of the loss of clips (B, T, 3, H, W); "total" is what is minimised."""
        loss = self._loss(blurry, sharp)
        return loss if isinstance(loss, dict) else {"total": loss}


@dataclass(frozen=True)
class Ranks:
    """This process among those that torchrun started: 0 of 1 without it."""

    rank: int
    world: int
    local: int

    @classmethod
    def of_environment(cls) -> Ranks:
        """From torchrun's environment variables."""
        rank, world, local = (int(os.environ.get(n, d)) for n, d in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
        return cls(rank, world, local)


@dataclass
class Data:
    """Where batches come from, which clips are held out, and what the weights will have seen."""

    source: Source
    held: list[Held]
    trained_on: tuple[str, ...]
    name: str

    @property
    def contents(self) -> str:
        """sha256 over the names of what batches are drawn from; empty where the source does not tell them."""
        names = getattr(self.source, "contents", None)
        return hashlib.sha256(json.dumps(names).encode()).hexdigest() if names else ""


@dataclass
class Run:
    """A run in progress. `step` counts finished steps; `elapsed` is seconds of training, earlier parts included."""

    request: TrainRequest
    recipe: Recipe
    card: MethodCard
    variant: str
    method: Method
    module: LossModule
    optimiser: Together
    average: Average | None
    data: Data
    device: str
    ranks: Ranks
    step: int = 0
    elapsed: float = 0.0
    best: dict[str, Any] = field(default_factory=dict)
    started_from: dict[str, Any] = field(default_factory=dict)
    pace: Spent = field(default_factory=Spent)
    sums: Sums = field(default_factory=Sums)

    @property
    def steps(self) -> int | None:
        """Length in steps, from the recipe's epochs or steps; None where only time limits it."""
        per_epoch = getattr(self.data.source, "steps_per_epoch", None)
        if self.recipe.epochs and per_epoch:
            return max(1, self.recipe.epochs * per_epoch // self.ranks.world)
        return self.recipe.steps

    @property
    def network(self) -> nn.Module:
        """The network that is trained, without the gate or other training-only parts."""
        return self.module.network

    @property
    def checkpoint_file(self) -> Path:
        """Where the run saves itself."""
        return self.request.output / CHECKPOINT

    def checkpoint(self) -> saved.Checkpoint:
        """The whole state of the run."""
        return saved.Checkpoint(
            method=self.card.name,
            variant=self.variant,
            recipe=self.recipe.model_dump(mode="json"),
            data=self.data.name,
            seed=self.request.seed,
            step=self.step,
            elapsed=self.elapsed,
            network=self.network.state_dict(),
            training_only=self.module.training_only.state_dict(),
            average=self.average.weights if self.average else {},
            optimiser=self.optimiser.state_dict(),
            random=saved.random_states(self.device),
            best=self.best,
            started_from=self.started_from,
            pace=dataclasses.asdict(self.pace),
            sums=dataclasses.asdict(self.sums),
            trained_on=list(self.data.trained_on),
            contents=self.data.contents,
            world=self.ranks.world,
        )

    def resume(self, state: saved.Checkpoint) -> None:
        """Go back to a checkpoint's state."""
        self.network.load_state_dict(state.network)
        self.module.training_only.load_state_dict(state.training_only)
        self.optimiser.load_state_dict(state.optimiser)
        if self.average:
            self.average.load(state.average)
        saved.set_random_states(state.random, self.device)
        self.step, self.elapsed, self.best = state.step, state.elapsed, state.best
        self.pace, self.sums = Spent(**state.pace), Sums(**state.sums)


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
    if parameters_outside(method):
        torch.manual_seed(seed + 1)
        outside = random_places(method, found.load()(**card.variants[variant].parameters))
        torch.manual_seed(seed)
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
    found = find_device(wanted)
    if found is None:
        raise UsageError(
            f"--device {wanted}: not there; torch finds {torch.cuda.device_count()} CUDA device(s). "
            "Use auto, cpu or cuda:N."
        )
    if found != "cpu":
        torch.cuda.set_device(found)
    return found


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
