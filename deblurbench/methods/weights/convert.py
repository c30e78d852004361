"""Weights of other implementations: opened without running anything in them, renamed, compared, written as ours.

Read are PyTorch's checkpoints (tensors only), safetensors, and TensorFlow's checkpoints of version 2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deblurbench.errors import MissingError, UsageError
from deblurbench.frames.files import not_the_file, write_atomically
from deblurbench.methods.base import Method, Renamed
from deblurbench.methods.weights.choice import Choice, choose, flatten, likely, without_leftovers
from deblurbench.methods.weights.files import differences, read_safetensors
from deblurbench.methods.weights.tensorflow import index_file, open_checkpoint
from deblurbench.provenance import file_sha256
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PREFIXES = ("module.", "model.", "network.", "net.", "generator.")
SLOTS = re.compile(r"/(Adam|Adam_1|Momentum|RMSProp|RMSProp_1|Adagrad|ExponentialMovingAverage)$")
"""What TensorFlow's optimisers keep beside a variable, under the variable's name."""


@dataclass(frozen=True)
class Foreign:
    """Tensors of another implementation, by its names, and the files that they came from."""

    tensors: dict[str, Tensor]  # those that are likely the weights, by the usual names of a checkpoint's entries
    files: tuple[Path, ...]
    everything: dict[str, Tensor] = field(default_factory=dict)  # all of a PyTorch checkpoint, by dotted names

    @property
    def all_tensors(self) -> dict[str, Tensor]:
        """All tensors that the files hold, by dotted names."""
        return self.everything or self.tensors


def read_foreign(path: Path) -> Foreign:
    """All tensors of a checkpoint: PyTorch's, safetensors, or TensorFlow's (PREFIX, or any of its files).

    Raises:
        MissingError: no such file.
        UsageError: no checkpoint, cut short, damaged, or one that holds objects besides tensors (never run).
    """
    index = index_file(path)
    if index is None and not path.is_file():
        raise MissingError(f"{path}: no such checkpoint. Name a .pth, .pt, .ckpt, .safetensors or TensorFlow's .index.")
    first = index if index is not None and index.is_file() else path
    if first.is_file():
        with first.open("rb") as stream:
            found = not_the_file(stream.read(200), "weights")
        if found:
            raise UsageError(f"{first}: {found}.")
    if index is not None:
        return _tensorflow(index)
    if path.suffix == ".safetensors":
        return Foreign(read_safetensors(path), (path,))
    return _pytorch(path)


def load_checkpoint(network: torch.nn.Module, file: Path) -> Choice:
    """Load a checkpoint (.pth, .pt, .ckpt, .safetensors) into a network, strictly: the same keys, the same shapes.

    The tensors may stand in any entry and below any prefix (`choose`); which were taken is returned.

    Raises:
        UsageError: no checkpoint, one that holds objects besides tensors (never run), or another network's.
    """
    own, foreign = network.state_dict(), read_foreign(file)
    try:
        choice = choose(foreign.all_tensors, len(own), lambda tensors: not differences(own, tensors))
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    if choice is None:
        faults = differences(own, without_prefixes(foreign.tensors, own))
        raise UsageError(f"{file}: not the weights of {type(network).__name__} with these parameters: {faults}.")
    network.load_state_dict(choice.tensors, strict=True)
    return choice


@dataclass(frozen=True)
class Converted(Renamed):
    """Weights that fit a network, and which tensors of the checkpoint they were."""

    choice: Choice | None = None


def convert(plugin: Plugin, variant: str, foreign: Foreign) -> Converted:
    """Foreign weights as those of a variant: its keys, its shapes, float32, contiguous, in its order.

    Raises:
        UsageError: they do not fit; the first keys that differ and the variants that they do fit are named.
    """
    fit = _fit(plugin, variant, foreign)
    if isinstance(fit, Converted):
        return fit
    card = plugin.card
    assert isinstance(card, MethodCard)
    others = [v for v in card.variants if v != variant and isinstance(_fit(plugin, v, foreign), Converted)]
    hint = (
        f"They fit {', '.join(f'{card.name}:{v}' for v in others)}; name one of these."
        if others
        else f"They fit no variant of {card.name!r}."
    )
    raise UsageError(f"{foreign.files[0]}: not the weights of '{card.name}:{variant}': {fit}. {hint}")


def write(target: Path, fit: Renamed, told: dict[str, Any]) -> None:
    """Write converted weights as safetensors; what is told of them stands in the file's metadata under "deblurbench".

    Raises:
        UsageError: other weights have that name already, or a training lies in that folder, whose record would be
            taken for theirs.
        DiskError: it cannot be written.
    """
    from safetensors.torch import save

    if target.with_name("training.json").exists():
        raise UsageError(f"{target.parent}: holds a training, not foreign weights. Choose another folder by --output.")
    content = save(fit.weights, metadata={"deblurbench": json.dumps(told)})
    if target.exists() and target.read_bytes() != content:
        raise UsageError(
            f"{target}: holds other weights already and is not overwritten. Choose another name by --tag or --output."
        )
    write_atomically(target, content)


def card_entry(
    target: Path, variant: str, tag: str, fit: Renamed, foreign: Foreign, trained_on: tuple[str, ...]
) -> dict[str, Any]:
    """The entry under `weights:` of the method's card; its sources are named with their sha256."""
    sources = {file.name: file_sha256(file) for file in foreign.files}
    return {
        "tag": tag,
        "variant": variant,
        "file": f"weights/{target.name}",
        "sha256": file_sha256(target),
        "origin": fit.origin,
        "trained_on": list(trained_on),
        "training": {"converted_from": sources},
        **({"note": fit.note} if fit.note else {}),
    }


def _fit(plugin: Plugin, variant: str, foreign: Foreign) -> Converted | str:
    """Converted weights, or why they do not fit."""
    card = plugin.card
    assert isinstance(card, MethodCard)
    method = plugin.load()(**card.variants[variant].parameters)
    if method.network is None:
        return "it has no weights"
    own = method.network.state_dict()
    try:
        choice = choose(foreign.all_tensors, len(own), lambda tensors: _renames(method, own, tensors))
        given = choice.tensors if choice else without_prefixes(foreign.tensors, own)
        renamed = method.rename(given)
    except UsageError as error:
        return str(error)
    faults = differences(own, renamed.weights) or _not_finite(renamed.weights)
    if faults:
        return faults
    weights = {key: _plain(renamed.weights[key]) for key in own}
    return Converted(weights, renamed.origin, renamed.note, choice)


def _renames(method: Method, own: Mapping[str, Tensor], tensors: dict[str, Tensor]) -> bool:
    """Whether tensors are a network's own once they are renamed."""
    try:
        return not differences(own, method.rename(tensors).weights)
    except UsageError:
        return False


def _not_finite(weights: Mapping[str, Tensor]) -> str:
    import torch

    broken = [k for k, v in weights.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]
    return f"not finite: {', '.join(broken[:5])}" if broken else ""


def _plain(tensor: Tensor) -> Tensor:
    """Float32 where it is of any floating type, contiguous, sharing memory with nothing."""
    return (tensor.float() if tensor.is_floating_point() else tensor).clone().contiguous()


def without_prefixes(tensors: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the prefixes of wrappers (DataParallel, torch.compile, a trainer's class) that all keys share."""
    plain = without_leftovers(tensors)
    while plain:
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in plain)), None)
        if prefix is None or all(key.startswith(prefix) for key in own):
            break
        plain = {key.removeprefix(prefix): tensor for key, tensor in plain.items()}
    return plain


def _tensorflow(index: Path) -> Foreign:
    """A TensorFlow checkpoint without what its optimiser kept, without scalars (steps, powers) and non-numeric ones."""
    import torch

    checkpoint = open_checkpoint(index)
    wanted = [n for n, entry in checkpoint.tensors.items() if entry.numeric and entry.shape and not SLOTS.search(n)]
    if not wanted:
        raise UsageError(f"{index}: no weights in it, only {', '.join(list(checkpoint.tensors)[:5]) or 'nothing'}")
    return Foreign({n: torch.tensor(checkpoint.read(n)) for n in wanted}, tuple(checkpoint.files()))


def _pytorch(path: Path) -> Foreign:
    """The tensors of a PyTorch checkpoint. Its pickle may build tensors, numpy's numbers and plain containers only."""
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_harmless()):
            warnings.simplefilter("ignore")  # of pickles of a newer kind: either it opens or the error says why
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # The message is rebuilt: PyTorch's own one advises to load without the restriction.
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"an object besides tensors ({named[1]})" if named else "something besides tensors, or is damaged"
        raise UsageError(
            f"{path}: holds {what}. Such a file can run code when it is opened, so it was not. Where you trust it, "
            "save its state_dict alone, as safetensors, and import that."
        ) from error
    except Exception as error:  # a damaged pickle fails in whatever way its bytes lead to
        raise UsageError(
            f"{path}: no readable PyTorch checkpoint, damaged or cut short ({type(error).__name__})"
        ) from error
    return _tensors_of(content, path)


def _harmless() -> list[Any]:
    """What may stand beside tensors: numpy's numbers and arrays, under the names of its releases 1 and 2."""
    import numpy as np

    core = getattr(np, "_core", None) or np.core
    builders = [core.multiarray.scalar, core.multiarray._reconstruct]
    named = [(b, f"numpy.{place}.multiarray.{b.__name__}") for b in builders for place in ("core", "_core")]
    kinds = {type(np.dtype(code)) for code in np.typecodes["All"] if code not in "OV"}
    return [*named, np.ndarray, np.dtype, *kinds]


def _tensors_of(content: Any, path: Path) -> Foreign:
    """The tensors of an opened checkpoint.

    Raises:
        UsageError: it holds none by name.
    """
    import torch

    everything = flatten(content)
    if not everything:
        keys = ", ".join(map(str, list(content)[:5])) if isinstance(content, Mapping) else type(content).__name__
        raise UsageError(f"{path}: no weights by name in it, found {keys or 'nothing'}.")
    inner = likely(content)
    tensors = {str(name): value for name, value in inner.items() if isinstance(value, torch.Tensor)}
    return Foreign(tensors or everything, (path,), everything)
