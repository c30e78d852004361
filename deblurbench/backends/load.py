"""Loading a method: its class, its weights and its device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from deblurbench.backends.base import Elsewhere
from deblurbench.backends.command import CommandMethod
from deblurbench.backends.device import prefer_channels_last, seed_everything
from deblurbench.backends.own_python import IsolatedMethod, environment_of
from deblurbench.backends.random_weights import network_is_random, random_outside_network
from deblurbench.errors import CardError, MissingError, UsageError
from deblurbench.methods.adapter import Foreign
from deblurbench.methods.base import WindowMethod
from deblurbench.methods.parameters import count, how_to_store, put_into_evaluation
from deblurbench.methods.weights.convert import load_checkpoint
from deblurbench.methods.weights.files import load_weights
from deblurbench.registry.by_path import find_method
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin

if TYPE_CHECKING:
    from deblurbench.methods.base import Method


class MethodJob(BaseModel):
    """One method of a run, as a worker needs it: plain values only, since it crosses a pipe.

    `again`: tried again in these tiles after memory ran out. `beside`: other workers of the run on this machine.
    `code`: digest of the method's code where the run was planned; empty where that is here.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    name: str
    variant: str
    weights: str | None
    output: str
    dataset: str
    data_root: str | None
    split: str
    metrics: list[str]
    device: str
    precision: str
    tile: int | None
    again: bool = False
    beside: int = 0
    seed: int
    timeout: float = 900.0
    random_weights: bool = False
    code: str = ""


def load_method(job: MethodJob, device: str, alive: Callable[[], None] = lambda: None) -> tuple[Method, MethodCard]:
    """Import a method, make its network, load its weights strictly, and move it to the device, for inference.

    A method with a separate Python environment, or a command, is loaded there; `alive` is called while a command works.

    Raises:
        UsageError, CardError, MissingError: it cannot be made, or its weights do not fit or would be random.
    """
    plugin = find_method(job.name)
    card = plugin.card
    assert isinstance(card, MethodCard)
    if job.code and plugin.code_digest() != job.code:
        raise UsageError(f"{job.id}: its code on this node is not that of the run: put the same files there.")
    environment = environment_of(plugin)
    if environment or card.command:
        elsewhere = method_elsewhere(plugin, environment, job, alive)
        refuse_other_window(card, job.variant, elsewhere)
        _refuse_random(job, elsewhere)
        return elsewhere, card
    seed_everything(job.seed)
    method = _make(job)
    refuse_other_window(card, job.variant, method)
    if job.weights:
        give_weights(plugin, method, Path(job.weights))
    _refuse_random(job, method)
    put_into_evaluation(method)
    if method.network is not None:
        for parameter in method.network.parameters():  # one by one: a TorchScript module has no requires_grad_
            parameter.requires_grad_(False)
        prefer_channels_last(method.network.to(device))
    method.place(device, job.precision)
    return method, card


def refuse_other_window(card: MethodCard, variant: str, method: Method) -> None:
    """See that the class reads the window that its card tells of the variant.

    Raises:
        CardError: it reads another one.
    """
    if isinstance(method, Elsewhere):
        radius = method.radius
    else:  # a network from outside has its window from the card or from its file
        radius = method.radius if isinstance(method, WindowMethod) and not isinstance(method, Foreign) else None
    window = card.needs_of(variant).window
    if radius is None or radius == window:
        return
    raise CardError(
        f"card of {card.name!r}: needs.window of variant {variant!r} is {window}, but the class has radius = {radius}: "
        "both are the frames that it reads on either side. Make them equal; a variant may have `needs` of its own."
    )


def _refuse_random(job: MethodJob, method: Method) -> None:
    if job.random_weights:
        return
    outside = random_outside(job, method)
    if outside:
        raise UsageError(
            f"{job.id}: {how_to_store(outside)} (--random-weights runs it all the same, and marks the row.)"
        )
    if is_random(job, method):
        raise MissingError(
            f"{job.id}: its network has random weights, and these are not scored. Name a file, {job.name}@FILE, or "
            "load them where the class makes its network. (--random-weights runs it all the same, and marks the row.)"
        )


def is_random(job: MethodJob, method: Method) -> bool:
    """Whether a method that was given no weights has a random network."""
    if isinstance(method, Elsewhere):
        return method.random
    return not job.weights and network_is_random(method, lambda: _make(job), job.seed)


def random_outside(job: MethodJob, method: Method) -> list[str]:
    """Where a method holds random parameters that no weights reach, since they are not in `self.network`."""
    if isinstance(method, Elsewhere):
        return list(method.outside)
    return random_outside_network(method, lambda: _make(job), job.seed)


def _make(job: MethodJob) -> Method:
    """An instance of the method's class, as its card's variant makes it."""
    plugin = find_method(job.name)
    assert isinstance(plugin.card, MethodCard)
    method: Method = plugin.load()(**plugin.card.variants[job.variant].parameters)
    return method


def give_weights(plugin: Plugin, method: Method, file: Path) -> None:
    """Load a weight file into a method strictly, unless the method was made of that very file.

    Raises:
        UsageError: the file does not fit, or the method has no network to load it into.
    """
    if plugin.opened:
        return
    if method.network is None:
        raise UsageError(
            f"method {plugin.name!r} sets no self.network, so {file} cannot be loaded. Leave the weights out."
        )
    if plugin.is_adapted:
        choice = load_checkpoint(method.network, file)
        if choice.others:
            method.caveat = "; ".join(filter(None, (method.caveat, f"{file.name}: {choice}")))
    else:
        load_weights(method.network, file)


def method_elsewhere(
    plugin: Plugin, environment: Mapping[str, str], job: MethodJob, alive: Callable[[], None]
) -> Elsewhere:
    """A command, or a method made ready under its own Python."""
    assert isinstance(plugin.card, MethodCard)
    if plugin.card.command:
        return CommandMethod(
            plugin, environment, parameters=plugin.card.variants[job.variant].parameters, device=job.device,
            precision=job.precision, tile=job.tile, timeout=job.timeout, alive=alive,
        )  # fmt: skip
    return IsolatedMethod(
        plugin, environment, variant=job.variant, weights=job.weights,
        device=job.device, precision=job.precision, tile=job.tile, seed=job.seed,
    )  # fmt: skip


def count_parameters(method: Method) -> int | None:
    """Parameters that a method restores with, 0 without any, None where nobody can tell."""
    return method.parameters if isinstance(method, Elsewhere) else count(method)
