"""Recipes: how a method is trained. They live in the method's card under `recipes`; `--set key=value` changes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, ValidationError

from deblurbench.errors import UsageError
from deblurbench.methods import losses
from deblurbench.registry.cards import Frozen, MethodCard
from deblurbench.registry.documents import DocumentError, parse_yaml
from deblurbench.text import did_you_mean

Decay: TypeAlias = Annotated[float, Field(ge=0, lt=1)]


class Recipe(Frozen):
    """Everything that decides a training run, except its data, seed and length in minutes."""

    model_config = ConfigDict(allow_inf_nan=False)

    summary: str = ""
    batch: int = Field(default=4, ge=1, description="clips in a batch, on each device")
    frames: int = Field(default=12, ge=1, description="consecutive frames of a clip")
    crop: int = Field(default=256, ge=16, description="side of the square crops in pixels")
    epochs: int | None = Field(default=None, ge=1, description="for datasets of files: one epoch shows each frame once")
    steps: int | None = Field(default=None, ge=1, description="length in steps, where it is not given in epochs")
    loss: losses.Name = Field(
        default="mse", description="content term: mse, the papers', or psnr, see methods/content.py"
    )
    loss_floor: float = Field(
        default=losses.FLOOR, gt=0, description="psnr: squared error (white is 1) below which frames hardly pull"
    )
    optimiser: Literal["adam", "muon"] = Field(
        default="adam", description="adam: the papers'; see training/optimiser.py"
    )
    learning_rate: float = Field(default=1e-4, gt=0)
    kernel_rate: float = Field(default=10.0, gt=0, description="muon: learning rate of kernels, as a multiple")
    final_learning_rate: float = Field(default=0.0, ge=0)
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    schedule: Literal["constant", "halve", "polynomial", "cosine"] = "cosine"
    halve_every: int = Field(default=200, ge=1, description="epochs between halvings, for schedule 'halve'")
    power: float = Field(default=0.3, gt=0, description="exponent, for schedule 'polynomial'")
    warmup: int = Field(default=0, ge=0, description="first steps, over which the learning rate rises linearly")
    clip_norm: float | None = Field(default=None, gt=0, description="largest norm of the gradient; none: not clipped")
    ema: float = Field(default=0.0, ge=0, lt=1, description="decay of the averaged weights that are kept; 0: none")
    fine_tunes: str = Field(default="", description="which trained weights --start-from must give; empty: it need not")
    initialise: dict[str, Any] = Field(default_factory=dict, description="passed to the method's `initialise`")
    noise: float = Field(default=2.0, ge=0, description="files only: std of the noise's std, on the 8-bit scale")
    augment: Literal["symmetries", "none"] = Field(
        default="symmetries", description="files only: flips and quarter turns, all eight symmetries of the square"
    )
    protocol: str = Field(default="", description="DATASET:PROTOCOL that the recipe is written for; empty: any")
    synthesis: dict[str, Any] = Field(default_factory=dict, description="settings of an endless dataset's source")
    precision: Literal["auto", "fp32", "bf16"] = Field(default="auto", description="auto: bf16 on CUDA, fp32 elsewhere")
    channels_last: bool = True
    compile: bool = False
    hold_out: int = Field(default=1, ge=0, description="files only: clips of the training split kept for validation")
    validate_every: int = Field(default=500, ge=1, description="steps between validations")
    validation_clips: int = Field(default=4, ge=0)
    validation_frames: int = Field(default=8, ge=1, description="scored frames of each held-out clip, at most")
    save_minutes: float = Field(default=3.0, gt=0, description="minutes between checkpoints")
    half: bool = Field(default=False, description="export weights in half precision")


@dataclass(frozen=True)
class TrainRequest:
    """One call of `train`: what is trained, on what, how, and for how long."""

    method: str
    dataset: str
    output: Path
    variant: str | None = None
    protocol: str | None = None
    roots: tuple[Path, ...] = ()
    recipe: str = "quick"
    settings: tuple[str, ...] = ()
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    minutes: float | None = None
    limit_steps: int | None = None
    resume: bool = False
    start_from: Path | None = None
    quiet: bool = False
    told: dict[str, Any] = field(default_factory=dict)


def read_recipe(card: MethodCard, name: str, settings: Sequence[str] = ()) -> Recipe:
    """The recipe of a card, with `key=value` settings (values as YAML; `a.b=value` reaches into a mapping).

    Raises:
        UsageError: no such recipe, an unknown key, a value of the wrong type; with the nearest match.
    """
    if name not in card.recipes:
        raise UsageError(f"method {card.name!r} has no recipe {name!r}. {did_you_mean(name, card.recipes)}")
    raw: dict[str, Any] = dict(card.recipes[name])
    for setting in settings:
        _set(raw, setting)
    for key in raw:
        if key not in Recipe.model_fields:
            raise UsageError(
                f"recipe {name!r} of {card.name!r}: no key {key!r}. {did_you_mean(key, Recipe.model_fields)}"
            )
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})" for e in error.errors())
        raise UsageError(f"recipe {name!r} of {card.name!r}: {faults}. Correct the card or the --set.") from error


def _set(raw: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {setting!r}: written as key=value, for example --set batch=2")
    try:
        value = parse_yaml(text)
    except DocumentError as error:
        raise UsageError(f"--set {setting!r}: the value is not YAML ({error})") from error
    if isinstance(value, str):
        value = _as_number(value)
    name, dot, inner = key.partition(".")
    if not dot:
        raw[name] = value
    elif isinstance(raw.get(name, {}), dict):
        raw[name] = {**raw.get(name, {}), inner: value}
    else:
        raise UsageError(f"--set {setting!r}: {name!r} holds no keys of its own; write {name}=value")


def _as_number(text: str) -> float | str:
    """YAML 1.1 reads 1e-4 as text; people mean a number."""
    try:
        return float(text)
    except ValueError:
        return text
