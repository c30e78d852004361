"""The parameters and modules of a method: of its network, and those kept elsewhere, where no weights reach them.

This file also runs under Python 3.9, in a method's own environment (deblurbench.backends.own_python_main).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from deblurbench.methods.base import Method


def parameters_outside(method: Method) -> dict[str, dict[str, Tensor]]:
    """Parameters in a method's attributes that belong neither to `network` nor to `training_only`.

    By their place, `self.net` or `self.nets[0]`, and then by their names there. Lists, tuples, sets and dicts are
    looked into, one level deep.
    """
    known = {id(p) for module in (method.network, method.training_only) if module is not None for p in _each(module)}
    found: dict[str, dict[str, Tensor]] = {}
    for place, value in _places(method):
        own = {name: parameter for name, parameter in _named(value) if id(parameter) not in known}
        known |= {id(parameter) for parameter in own.values()}
        if own:
            found[place] = own
    return found


def differ(mine: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    """Whether two makings of the same tensors came out different, on whatever devices they are."""
    import torch

    return mine.keys() != others.keys() or not all(torch.equal(mine[k].cpu(), others[k].cpu()) for k in mine)


def random_places(method: Method, other: Method) -> list[str]:
    """Where outside its network a method holds random parameters: `other` was made the same way from another seed."""
    others = parameters_outside(other)
    return [place for place, mine in parameters_outside(method).items() if differ(mine, others.get(place, {}))]


def count(method: Method) -> int:
    """How many parameters a method restores with, wherever it keeps them; `training_only` is not counted."""
    outside = [parameter for own in parameters_outside(method).values() for parameter in own.values()]
    inside = method.network.parameters() if method.network is not None else ()
    return sum(parameter.numel() for parameter in [*inside, *outside])


def put_into_evaluation(method: Method) -> None:
    """Switch the network, and all other torch modules that a method restores with, to evaluation."""
    for _, module in _modules(method):
        with contextlib.suppress(NotImplementedError):  # what torch.export made has the mode that it was made in
            module.eval()


def in_training(method: Method) -> dict[str, bool]:
    """Whether each module that a method restores with is in training mode, by place; those of some files always are."""
    return {
        f"{place}.{name}": getattr(each, "training", False)
        for place, module in _modules(method)
        for name, each in module.named_modules()
    }


def how_to_store(places: Iterable[str]) -> str:
    """What is wrong with random parameters outside `network`, and what to do."""
    named = ", ".join(places)
    itself = " Derive the class from its form alone, not from torch.nn.Module as well." if named == "self" else ""
    return (
        f"parameters in {named}, outside self.network, are random: no weights are ever loaded into them. Store the "
        f"network as self.network, from where it is loaded, counted and moved to the device.{itself}"
    )


def _places(method: Method) -> Iterator[tuple[str, Any]]:
    """What may hold parameters, by its place: the attributes of the class and of the instance, and what they hold."""
    import torch

    if isinstance(method, torch.nn.Module):
        yield "self", method
    attributes = {name: value for each in reversed(type(method).__mro__) for name, value in vars(each).items()}
    for name, value in {**attributes, **vars(method)}.items():
        yield f"self.{name}", value
        entries = value.items() if isinstance(value, dict) else enumerate(value) if _is_row(value) else ()
        for key, entry in entries:
            yield f"self.{name}[{key!r}]", entry


def _modules(method: Method) -> Iterator[tuple[str, nn.Module]]:
    """The torch modules among them. `training_only` is left out: nothing is restored with it."""
    import torch

    for place, value in _places(method):
        if isinstance(value, torch.nn.Module) and value is not method.training_only:
            yield place, value


def _is_row(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, frozenset))


def _named(value: Any) -> Iterator[tuple[str, Tensor]]:
    """The parameters of a module by their names, or a parameter itself."""
    import torch

    if isinstance(value, torch.nn.Module):
        yield from value.named_parameters()
    elif isinstance(value, torch.nn.Parameter):
        yield "", value


def _each(module: Any) -> Iterator[Tensor]:
    return (parameter for _, parameter in _named(module))
