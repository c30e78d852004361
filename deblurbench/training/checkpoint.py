"""Checkpoints: everything that a run needs to go on as if it had not stopped. Atomic, and never a pickle with code.

Behind the archive that torch writes stands the sha256 of all its bytes; torch itself notices few flipped bits.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deblurbench.errors import MissingError, UsageError
from deblurbench.frames.files import write_atomically
from deblurbench.training.recipe import Recipe

FORMAT = 2
"""Format 1 had no digest."""
SEAL = re.compile(rb"\nsha256:([0-9a-f]{64})\n\Z")


@dataclass
class Checkpoint:
    """The state of a run after `step` steps and `elapsed` seconds of training. Tensors are on the CPU when read."""

    method: str
    variant: str
    recipe: dict[str, Any]
    data: str
    seed: int
    step: int
    elapsed: float
    network: dict[str, Tensor]
    training_only: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[str, Any]
    random: dict[str, Any]
    best: dict[str, Any] = field(default_factory=dict)
    started_from: dict[str, Any] = field(default_factory=dict)
    pace: dict[str, Any] = field(default_factory=dict)
    sums: dict[str, Any] = field(default_factory=dict)
    trained_on: list[str] = field(default_factory=list)
    contents: str = ""
    world: int = 0
    format: int = FORMAT


def random_states(device: str = "cpu") -> dict[str, Any]:
    """States of torch's generators: the CPU's, and that of the GPU trained on. Batches draw from their own."""
    states: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if device != "cpu":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_states(states: dict[str, Any], device: str = "cpu") -> None:
    """Undo `random_states`, as far as the run goes on on a device of the same kind."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and device != "cpu":
        torch.cuda.set_rng_state(states["cuda"], device)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write beside `path`, flush to the disk, and rename: the last good checkpoint survives anything.

    Raises:
        DiskError: no space or no permission; the last good checkpoint is still there.
    """
    buffer = io.BytesIO()
    torch.save({f: getattr(checkpoint, f) for f in checkpoint.__dataclass_fields__}, buffer)
    body = buffer.getvalue()
    write_atomically(path, body + f"\nsha256:{hashlib.sha256(body).hexdigest()}\n".encode())


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, and hold it to its digest.

    Raises:
        MissingError: the file does not exist. UsageError: it is cut short, changed, or not a training's checkpoint.
    """
    if not path.is_file():
        raise MissingError(f"{path}: no checkpoint to resume from. Leave out --resume to start a new run.")
    try:
        return _unsealed(path.read_bytes())
    except (RuntimeError, EOFError, OSError, ValueError, TypeError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UsageError(
            f"{path}: not a whole checkpoint ({reason}). It was damaged or cut short, for instance by copying; "
            "copy it again, or start anew in another --output."
        ) from error


def _unsealed(content: bytes) -> Checkpoint:
    """The checkpoint in a file's bytes; those of format 1 are taken without a digest.

    Raises:
        ValueError: the bytes are not those that were written. Others: as torch.load.
    """
    seal = SEAL.search(content[-100:])
    body = content[: -len(seal[0])] if seal else content
    if seal and hashlib.sha256(body).hexdigest().encode() != seal[1]:
        raise ValueError("its sha256 is not the one that was written with it")
    checkpoint = Checkpoint(**torch.load(io.BytesIO(body), map_location="cpu", weights_only=True))
    if checkpoint.format >= FORMAT and not seal:
        raise ValueError("the sha256 that was written with it is missing")
    return checkpoint


def check_same(checkpoint: Checkpoint, path: Path, *, method: str, variant: str, recipe: dict[str, Any]) -> None:
    """Refuse to go on with another method, variant, or recipe.

    Raises:
        UsageError: with what differs.
    """
    if (checkpoint.method, checkpoint.variant) != (method, variant):
        raise UsageError(
            f"{path}: a checkpoint of '{checkpoint.method}:{checkpoint.variant}', but '{method}:{variant}' is to be "
            "trained. Name that variant, or choose another --output."
        )
    before = {**Recipe().model_dump(mode="json"), **checkpoint.recipe}  # keys that came later had their defaults
    differing = [k for k in {**before, **recipe} if _plain(before.get(k)) != _plain(recipe.get(k))]
    if differing:
        lines = "; ".join(f"{k} was {before.get(k)!r}, is {recipe.get(k)!r}" for k in sorted(differing))
        raise UsageError(f"{path}: this run has another recipe ({lines}). Use the same, or choose another --output.")


def check_same_data(
    checkpoint: Checkpoint, path: Path, *, data: str, trained_on: Sequence[str], contents: str, world: int
) -> None:
    """Refuse to go on with other training data, or shared out over another number of processes.

    What a checkpoint does not tell (an older one, or data that cannot say what they hold) is not compared.

    Raises:
        UsageError: with what differs.
    """
    pairs = {
        "the dataset": (checkpoint.data, data),
        "the training data": (", ".join(checkpoint.trained_on), ", ".join(trained_on)),
        "the number of processes": (checkpoint.world, world),
    }
    lines = [f"{what} was {was}, is {now}" for what, (was, now) in pairs.items() if was and was != now]
    if not lines and checkpoint.contents and checkpoint.contents != contents:
        lines = ["files of the training data were added, removed or renamed"]
    if lines:
        raise UsageError(f"{path}: {'; '.join(lines)}. Use the same, or choose another --output.")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
