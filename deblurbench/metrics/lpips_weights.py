"""Where LPIPS's weights come from: trunks from torch's download folder or the user's path, heads from `lpips`'s files.

A trunk is looked for in this order:

1. the environment variable DEBLURBENCH_LPIPS: a file, or a folder that holds files. Either torchvision's trunk file or
   a complete LPIPS state dict (trunk and heads), `.pth` or `.pt`; which network it is is read from its tensors.
2. torch's download folder (TORCH_HOME, else XDG_CACHE_HOME/torch, else ~/.cache/torch), under hub/checkpoints, by
   torchvision's file names, whose last eight digits begin the file's sha256. It is checked.

Files are opened by torch.load(weights_only=True) alone, which runs no code of theirs. The package `lpips` is never
imported (it would import torchvision); only its weight files are read.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pickle
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from deblurbench.errors import MissingError, UsageError
from deblurbench.frames.files import not_the_file
from deblurbench.metrics.lpips_trunks import TRUNKS, Trunk
from deblurbench.provenance import file_sha256
from deblurbench.text import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

ENVIRONMENT = "DEBLURBENCH_LPIPS"
ADDRESS = "https://download.pytorch.org/models/"
State = dict[str, "Tensor"]


def hub_folder() -> Path:
    """The folder where torch keeps downloaded weights, as torch.hub decides it."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", str(Path(cache) / "torch"))
    return Path(os.path.expandvars(home)).expanduser() / "hub" / "checkpoints"


def load_state(name: str) -> State:
    """The trunk's and heads' tensors of `alex`, `vgg` or `squeeze`: `features...` and `lin0.` to `lin6.`, on the CPU.

    Raises:
        MissingError: no file is there, or it is damaged or of another network; the message says what to do.
    """
    trunk = TRUNKS[name]
    state = _find(name, f"lpips-{name}")
    heads = {f"lin{i}.model.1.weight": (1, c, 1, 1) for i, c in enumerate(trunk.channels)}
    if not heads.keys() <= state.keys():
        state |= read_weights(_heads_file(name))
    return _checked(f"LPIPS weights of {trunk.title}", state, trunk.shapes() | heads)


def is_here(name: str) -> bool:
    """Whether a file that should hold a trunk is there; it is not opened."""
    chosen = os.environ.get(ENVIRONMENT)
    place = Path(chosen).expanduser() if chosen else None
    if place and place.exists() and next(_candidates(place, name), None):
        return True
    file = hub_folder() / TRUNKS[name].file
    return file.is_file() and _fits_name(file)


def load_trunk(name: str, metric: str) -> State:
    """The trunk's tensors alone, for another `metric` than LPIPS.

    Raises:
        MissingError: as `load_state`.
    """
    return _checked(f"weights of {TRUNKS[name].title}", _find(name, metric), TRUNKS[name].shapes())


def in_words(state: State) -> str:
    """Which weights these are: the start of the sha256 over their tensors, by name."""
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        digest.update(state[key].detach().cpu().contiguous().numpy().tobytes())
    return f"weights {digest.hexdigest()[:12]}"


def _find(name: str, metric: str) -> State:
    state = _from_environment(name) or _from_hub(TRUNKS[name])
    if state is None:
        raise MissingError(_what_to_do(name, metric))
    return state


def _checked(what: str, state: State, shapes: dict[str, tuple[int, ...]]) -> State:
    for key, shape in shapes.items():
        found = tuple(state[key].shape) if key in state else "nothing"
        if found != shape:
            raise MissingError(f"{what}: {key} should be {shape}, found {found}. Fetch them again.")
    return {key: state[key].float() for key in shapes}


def fetch(id: str) -> Path:
    """Download the trunk of `lpips-alex`, `-vgg`, `-squeeze` or `dists` into torch's folder, and return its path.

    The file appears under its name only when it is complete and its sha256 is right.

    Raises:
        UsageError: another name.
        MissingError: offline, refused, or the bytes are not the published ones.
    """
    names = {f"lpips-{name}": trunk for name, trunk in TRUNKS.items()} | {"dists": TRUNKS["vgg"]}
    if id not in names:
        raise UsageError(f"no weights are called {id!r}. {did_you_mean(id, names)}")
    target = hub_folder() / names[id].file
    if target.is_file() and _fits_name(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".download-")
    try:
        with os.fdopen(handle, "wb") as sink, urllib.request.urlopen(ADDRESS + target.name, timeout=30) as source:
            shutil.copyfileobj(source, sink, 1 << 20)
        if not _fits_name(Path(temporary), target.name):
            raise MissingError(f"{ADDRESS}{target.name}: what came is not the published file (its sha256 is wrong)")
        Path(temporary).replace(target)
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise MissingError(
            f"{ADDRESS}{target.name}: cannot be fetched ({reason}). Fetch it on another machine and copy it to "
            f"{target}, or name its path in {ENVIRONMENT}."
        ) from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target


def _what_to_do(name: str, metric: str) -> str:
    trunk = TRUNKS[name]
    chosen = os.environ.get(ENVIRONMENT)
    tried = f"{ENVIRONMENT}={chosen} holds none; " if chosen else ""
    return (
        f"{metric} needs the {trunk.title} weights {trunk.file}: {tried}looked in {_short(hub_folder())}. "
        f"Run 'deblurbench data fetch {metric}', or set {ENVIRONMENT} to the file or its folder."
    )


def _short(folder: Path) -> str:
    """A folder with the home folder written as ~."""
    home = Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)


def _from_environment(name: str) -> State | None:
    chosen = os.environ.get(ENVIRONMENT)
    if not chosen:
        return None
    place = Path(chosen).expanduser()
    if not place.exists():
        raise MissingError(f"{ENVIRONMENT}={chosen}: no such file or folder. Set it right, or unset it.")
    for file in _candidates(place, name):
        state = _trunk_keys(read_weights(file))
        if _network_of(state) == name:
            return state
    return None


def _candidates(place: Path, name: str) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    files = sorted(f for f in place.iterdir() if f.suffix in (".pth", ".pt") and f.is_file())
    yield from (f for f in files if name in f.stem.lower())


def _from_hub(trunk: Trunk) -> State | None:
    file = hub_folder() / trunk.file
    if not file.is_file():
        return None
    if not _fits_name(file):
        raise MissingError(
            f"{file}: damaged (its sha256 does not begin with the digits of its name). Delete it and fetch it again."
        )
    return _trunk_keys(read_weights(file))


def _trunk_keys(state: State) -> State:
    """A complete LPIPS state dict or torchvision's, as torchvision names the trunk; the classifier is left out."""
    renamed = {re.sub(r"^net\.slice\d+\.", "features.", key): value for key, value in state.items()}
    return {key: value for key, value in renamed.items() if key.startswith(("features.", "lin"))}


def _network_of(state: State) -> str | None:
    """Which trunk's tensors these are, all of them and with the right shapes."""
    for name, trunk in TRUNKS.items():
        own = {key: tuple(value.shape) for key, value in state.items() if key.startswith("features.")}
        if own == trunk.shapes():
            return name
    return None


def _heads_file(name: str) -> Path:
    spec = importlib.util.find_spec("lpips")
    folders = spec.submodule_search_locations if spec else None
    file = Path(folders[0]) / "weights" / "v0.1" / f"{name}.pth" if folders else None
    if file is None or not file.is_file():
        raise MissingError(
            f"lpips-{name} needs the linear heads that the package 'lpips' ships: pip install 'lpips>=0.1.4'"
        )
    return file


def _fits_name(file: Path, name: str = "") -> bool:
    """Whether the sha256 of a file begins with the eight digits at the end of its torchvision name."""
    return file_sha256(file).startswith(Path(name or file.name).stem.rpartition("-")[2])


def read_weights(file: Path) -> State:
    """The tensors of a file of weights, by torch.load(weights_only=True).

    Raises:
        MissingError: it is damaged, something else, or would run code.
    """
    import torch

    with file.open("rb") as stream:
        found = not_the_file(stream.read(200), "weights")
    if found:
        raise MissingError(f"{file}: {found}. Fetch it again.")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError) as error:
        why = str(error).splitlines()[0]
        raise MissingError(
            f"{file}: not a plain file of weights, or damaged; it was not opened further ({why})"
        ) from error
    if not isinstance(state, dict) or not all(hasattr(value, "shape") for value in state.values()):
        raise MissingError(f"{file}: holds no state dict (a mapping of names to tensors)")
    return dict(state)
