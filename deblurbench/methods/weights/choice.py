"""Which tensors of a checkpoint are a network's: those below the one prefix under which all of its names stand.

A checkpoint of nested mappings becomes one mapping of dotted names, so that an entry (`netG`), a wrapper (`module.`)
and an attribute of a trainer's class (`generator.`) are the same thing, a prefix. Only an exact fit counts: every
tensor below the prefix belongs to the network, and every one of the network's lies below it.

This file also runs under Python 3.9, in a method's own environment (deblurbench.backends.own_python_main).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deblurbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

NESTED = ("state_dict", "params_ema", "params", "model_state_dict", "model", "network", "net", "generator", "weights")
"""Entries in which checkpoints keep their weights, the likeliest first."""
DEPTH = 6
"""How many names a prefix may consist of."""
COMPILED = "_orig_mod."
COUNTERS = ("total_ops", "total_params")
"""Buffers that the counter `thop` leaves in a network that it looked at."""
AVERAGED = re.compile(r"ema|averag|swa", re.IGNORECASE)
SHOWN = 4


@dataclass(frozen=True)
class Choice:
    """The tensors below `prefix`, by the names that follow it; `others` are prefixes that fit as well."""

    prefix: str
    tensors: dict[str, Tensor]
    others: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def __str__(self) -> str:
        taken = f"took {len(self.tensors)} tensors from {_shown(self.prefix)}"
        beside = f"; {', '.join(map(_shown, self.others))} would fit as well" if self.others else ""
        rest = [name for name in self.unused if f"{name}." not in self.others]
        more = ", ..." if len(rest) > SHOWN else ""
        return taken + beside + (f"; not used: {', '.join(rest[:SHOWN])}{more}" if rest else "")


def flatten(content: Any, before: str = "") -> dict[str, Tensor]:
    """All tensors of nested mappings by their dotted names; whatever else they hold is passed over.

    `content` may be what `torch.load` returned. The optimiser's tensors are left out.
    """
    import torch

    tensors: dict[str, Tensor] = {}
    for key, value in content.items() if isinstance(content, Mapping) else ():
        name = f"{before}{key}"
        if isinstance(value, torch.Tensor):
            tensors.setdefault(name, value)
        elif isinstance(value, Mapping) and not str(key).lower().startswith("optim") and before.count(".") < DEPTH:
            tensors.update(flatten(value, f"{name}."))
    return tensors


def without_leftovers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors without the mark of `torch.compile` in their names, and without a counter's buffers."""
    kept = {name: tensor for name, tensor in tensors.items() if name.rpartition(".")[2] not in COUNTERS}
    return {name.replace(COMPILED, ""): tensor for name, tensor in kept.items()}


def choose(tensors: Mapping[str, Tensor], size: int, fits: Callable[[dict[str, Tensor]], bool]) -> Choice | None:
    """The tensors below the prefix that fits; None where none does.

    `size` is how many tensors the network has, and `fits` says whether some tensors are all of them. Of several
    prefixes that fit, averaged weights come first, then the entries of `NESTED` in their order.

    Raises:
        UsageError: several fit, and nothing says which is meant.
    """
    clean = without_leftovers(tensors)
    below = {prefix: _below(clean, prefix) for prefix in _prefixes(clean, size)}
    fitting = sorted((prefix for prefix in below if fits(below[prefix])), key=_rank)
    if not fitting:
        return None
    first, others = fitting[0], tuple(fitting[1:])
    rivals = [prefix for prefix in others if _rank(prefix) == _rank(first) and not _same(below[first], below[prefix])]
    if rivals:
        names = ", ".join(map(_shown, [first, *rivals]))
        raise UsageError(f"{names} fit equally well; save the one that is meant as a checkpoint of its own")
    unused = dict.fromkeys(_top(name, first) for name in clean if not name.startswith(first))
    return Choice(first, below[first], others, tuple(unused))


def _prefixes(names: Mapping[str, Any], size: int) -> list[str]:
    """Dotted beginnings that at least half as many names share as the network has tensors; the shortest first."""
    counts: Counter[str] = Counter({"": len(names)})
    for name in names:
        parts = name.split(".")[:-1][:DEPTH]
        counts.update(".".join(parts[: i + 1]) + "." for i in range(len(parts)))
    return sorted((prefix for prefix, count in counts.items() if count >= size / 2), key=len)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _rank(prefix: str) -> tuple[bool, list[int]]:
    """Smaller for what is likelier meant."""
    parts = prefix.split(".")[:-1]
    places = [NESTED.index(part) if part in NESTED else len(NESTED) for part in parts]
    return not any(AVERAGED.search(part) for part in parts), places


def _top(name: str, prefix: str) -> str:
    """What stands beside a prefix: the first part of a name that differs from it."""
    parts, taken = name.split("."), prefix.split(".")[:-1]
    same = next((i for i, part in enumerate(parts) if taken[i : i + 1] != [part]), len(parts))
    return ".".join(parts[: same + 1])


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    import torch

    return all(name in other and torch.equal(tensor, other[name]) for name, tensor in one.items())


def _shown(prefix: str) -> str:
    return f"{prefix[:-1]!r}" if prefix else "the file"


def likely(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The mapping that holds the weights by the usual names of entries, for when no network is there to compare."""
    for _ in range(DEPTH):
        inner: Sequence[Any] = [content[key] for key in NESTED if isinstance(content.get(key), Mapping)]
        if not inner:
            holders = [value for value in content.values() if isinstance(value, Mapping) and flatten(value)]
            inner = holders if len(holders) == 1 and len(flatten(content)) == len(flatten(holders[0])) else []
        if not inner:
            break
        content = inner[0]
    return content
