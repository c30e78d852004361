"""Weights of other implementations: opened without running anything in them, renamed, compared, written as ours.

Read are PyTorch's checkpoints (tensors only), safetensors, and TensorFlow's checkpoints of version 2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deblurbench.errors import MissingError, UsageError
from deblurbench.frames.files import not_the_file, write_atomically
from deblurbench.methods.base import Renamed
from deblurbench.methods.weights.files import differences, read_safetensors
from deblurbench.methods.weights.tensorflow import index_file, open_checkpoint
from deblurbench.provenance import file_sha256
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin

if TYPE_CHECKING:
    import torch
    from torch import Tensor

NESTED = ("state_dict", "params_ema", "params", "model_state_dict", "model", "network", "net", "generator", "weights")
"""Keys under which checkpoints keep their weights, the first that is there is taken."""
DEPTH = 5
PREFIXES = ("module.", "model.", "network.", "net.", "generator.")
COMPILED = "_orig_mod."
COUNTERS = ("total_ops", "total_params")
"""Buffers that the counter `thop` leaves in a network that it looked at."""
SLOTS = re.compile(r"/(Adam|Adam_1|Momentum|RMSProp|RMSProp_1|Adagrad|ExponentialMovingAverage)$")
"""What TensorFlow's optimisers keep beside a variable, under the variable's name."""


@dataclass(frozen=True)
class Foreign:
    """Tensors of another implementation, by its names, and the files that they came from."""

    tensors: dict[str, Tensor]
    files: tuple[Path, ...]


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
    tensors = read_safetensors(path) if path.suffix == ".safetensors" else _pytorch(path)
    return Foreign(tensors, (path,))


def load_checkpoint(network: torch.nn.Module, file: Path) -> None:
    """Load a checkpoint (.pth, .pt, .ckpt, .safetensors) into a network, strictly: the same keys, the same shapes.

    Nested dicts (`state_dict`, `params_ema`, ...) and prefixes that all keys share (`module.`) are looked through.

    Raises:
        UsageError: no checkpoint, one that holds objects besides tensors (never run), or another network's.
    """
    own = network.state_dict()
    tensors = without_prefixes(read_foreign(file).tensors, own)
    faults = differences(own, tensors)
    if faults:
        raise UsageError(f"{file}: not the weights of {type(network).__name__} with these parameters: {faults}.")
    network.load_state_dict(tensors, strict=True)


def convert(plugin: Plugin, variant: str, foreign: Foreign) -> Renamed:
    """Foreign weights as those of a variant: its keys, its shapes, float32, contiguous, in its order.

    Raises:
        UsageError: they do not fit; the first keys that differ and the variants that they do fit are named.
    """
    fit = _fit(plugin, variant, foreign.tensors)
    if isinstance(fit, Renamed):
        return fit
    card = plugin.card
    assert isinstance(card, MethodCard)
    others = [v for v in card.variants if v != variant and isinstance(_fit(plugin, v, foreign.tensors), Renamed)]
    hint = (
        f"They fit {', '.join(f'{card.name}:{v}' for v in others)}; name one of these."
        if others
        else f"They fit no variant of {card.name!r}."
    )
    raise UsageError(f"{foreign.files[0]}: not the weights of '{card.name}:{variant}': {fit}. {hint}")


def write(target: Path, fit: Renamed, told: dict[str, Any]) -> None:
    """Write converted weights as safetensors; what is told of them stands in the file's metadata under "deblurbench".

    Raises:
        UsageError: a training lies in that folder, whose story would be taken for theirs.
        DiskError: it cannot be written; an older file is kept.
    """
    from safetensors.torch import save

    if target.with_name("training.json").exists():
        raise UsageError(f"{target.parent}: holds a training, not foreign weights. Choose another folder by --output.")
    write_atomically(target, save(fit.weights, metadata={"deblurbench": json.dumps(told)}))


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


def _fit(plugin: Plugin, variant: str, tensors: dict[str, Tensor]) -> Renamed | str:
    """Converted weights, or why they do not fit."""
    import torch

    card = plugin.card
    assert isinstance(card, MethodCard)
    method = plugin.load()(**card.variants[variant].parameters)
    if method.network is None:
        return "it has no weights"
    own = method.network.state_dict()
    try:
        renamed = method.rename(without_prefixes(tensors, own))
    except UsageError as error:
        return str(error)
    faults = differences(own, renamed.weights)
    if not faults:
        broken = [k for k, v in renamed.weights.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]
        faults = f"not finite: {', '.join(broken[:5])}" if broken else ""
    if faults:
        return faults
    weights = {key: _plain(renamed.weights[key]) for key in own}
    return Renamed(weights, renamed.origin, renamed.note)


def _plain(tensor: Tensor) -> Tensor:
    """Float32 where it is of any floating type, contiguous, sharing memory with nothing."""
    return (tensor.float() if tensor.is_floating_point() else tensor).clone().contiguous()


def without_prefixes(tensors: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the prefixes of wrappers (DataParallel, torch.compile, a trainer's class) that all keys share."""
    found = {k.replace(COMPILED, ""): v for k, v in tensors.items() if k.rpartition(".")[2] not in COUNTERS}
    while found:
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in found)), None)
        if prefix is None or all(key.startswith(prefix) for key in own):
            break
        found = {key.removeprefix(prefix): tensor for key, tensor in found.items()}
    return found


def _tensorflow(index: Path) -> Foreign:
    """A TensorFlow checkpoint without what its optimiser kept, without scalars (steps, powers) and non-numeric ones."""
    import torch

    checkpoint = open_checkpoint(index)
    wanted = [n for n, entry in checkpoint.tensors.items() if entry.numeric and entry.shape and not SLOTS.search(n)]
    if not wanted:
        raise UsageError(f"{index}: no weights in it, only {', '.join(list(checkpoint.tensors)[:5]) or 'nothing'}")
    return Foreign({n: torch.tensor(checkpoint.read(n)) for n in wanted}, tuple(checkpoint.files()))


def _pytorch(path: Path) -> dict[str, Tensor]:
    """The tensors of a PyTorch checkpoint. Its pickle may build tensors and plain containers, nothing else."""
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles of a newer kind: either it opens or the reason is told
            found = torch.load(path, map_location="cpu", weights_only=True)
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
    return _tensors_of(found, path)


def _tensors_of(found: Any, path: Path) -> dict[str, Tensor]:
    import torch

    for _ in range(DEPTH):
        if not isinstance(found, Mapping):
            break
        inner = next((found[key] for key in NESTED if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        found = inner
    tensors = {k: v for k, v in found.items() if isinstance(v, torch.Tensor)} if isinstance(found, Mapping) else {}
    if not tensors or not all(isinstance(key, str) for key in tensors):
        keys = ", ".join(map(str, list(found)[:5])) if isinstance(found, Mapping) else type(found).__name__
        raise UsageError(
            f"{path}: no weights by name in it, found {keys or 'nothing'}. Looked for: {', '.join(NESTED)}."
        )
    return tensors
