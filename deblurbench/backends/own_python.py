"""Methods with a Python environment of their own: finding that Python, and passing frames to it and back.

A card's `python: PATH`, or a user's DEBLURBENCH_PYTHON="METHOD=PATH:...", names a folder made by `python3 -m venv` or
an interpreter. The method then runs under it (own_python_main.py), while this process decodes, rounds, scores and
writes. Frames pass through a memory file without a name, so that nothing is left behind whoever is killed.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from deblurbench.backends import own_python_main
from deblurbench.backends.base import Elsewhere, FailedElsewhere
from deblurbench.backends.own_python_main import FLOAT32, SLOTS
from deblurbench.errors import CardError, ContractError, MissingError, UsageError
from deblurbench.methods.weights.convert import read_foreign
from deblurbench.methods.weights.files import read_weights
from deblurbench.processes.guarded import GuardedProcess, exit_reason, foreign_environment
from deblurbench.registry.by_path import FoundFile
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin
from deblurbench.registry.requirements import card_path

if TYPE_CHECKING:
    from torch import Tensor

VARIABLE = "DEBLURBENCH_PYTHON"
OLDEST = (3, 9)
PATIENCE = 60.0  # seconds that an interpreter may take to tell its version
ENDING = 10.0
PROBE = """
import json, sys
told = {"python": ".".join(map(str, sys.version_info[:3])), "executable": sys.executable}
try:
    from importlib import metadata, util
    for name in ("torch", "numpy"):
        if util.find_spec(name):
            try:
                told[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                told[name] = "of unknown version"
except ImportError:
    pass
print(json.dumps(told))
"""


def environment_of(plugin: Plugin) -> dict[str, str]:
    """Interpreter and versions under which a method runs: executable, python, torch, numpy. Empty for our own.

    Raises:
        MissingError: the environment is not there, cannot be asked, or has no torch.
        UsageError: its Python is too old.
    """
    card = plugin.card
    named = _named_by_user().get(plugin.name) or (card.python if isinstance(card, MethodCard) else None)
    if not named:
        return {}
    path = plugin.folder / Path(named).expanduser()
    answer = probe(interpreter(path, plugin.name))
    whose = f"method {plugin.name!r}: its environment {path}"
    if tuple(int(number) for number in answer["python"].split(".")[:2]) < OLDEST:
        raise UsageError(
            f"{whose} has Python {answer['python']}; {OLDEST[0]}.{OLDEST[1]} or newer is needed. "
            f"{_how(plugin.name, Path('FOLDER'))}"
        )
    if "torch" not in answer and not (isinstance(card, MethodCard) and card.command):
        raise MissingError(
            f"{whose} (Python {answer['python']}) has no torch, in which frames are handed over. "
            f"Install it: {answer['executable']} -m pip install torch numpy (of the versions the method wants)."
        )
    return answer


def _named_by_user() -> dict[str, str]:
    """DEBLURBENCH_PYTHON as method to path; relative paths are made absolute."""
    paths = {}
    for entry in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        name, equals, path = entry.partition("=")
        if not (name and equals and path):
            raise UsageError(f"{VARIABLE}: {entry!r} is no setting. Write METHOD=PATH, several with {os.pathsep!r}.")
        paths[name] = str(Path(path).expanduser().absolute())
    return paths


def interpreter(path: Path, method: str) -> Path:
    """The interpreter of a venv folder, or `path` itself where it is one.

    Raises:
        MissingError: nothing is there, or a folder without bin/python.
    """
    if path.is_dir():
        places = [path / "bin" / "python", path / "Scripts" / "python.exe"]
        for place in places:
            if place.is_file():
                return place
        raise MissingError(
            f"method {method!r}: {path} is a folder without bin/python: no environment. {_how(method, path)}"
        )
    if not path.is_file():
        raise MissingError(f"method {method!r}: its environment {path} does not exist. {_how(method, path)}")
    return path


@cache
def probe(python: Path) -> dict[str, str]:
    """Ask an interpreter for its version and its packages': executable, python, and torch and numpy where found.

    Raises:
        MissingError: it cannot be run, or answers something else.
    """
    try:
        done = subprocess.run(
            [str(python), "-E", "-s", "-c", PROBE], cwd="/", env=foreign_environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        answer: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        said = done.stderr.strip().splitlines()[-1:] if isinstance(error, ValueError) else [str(error)]
        raise MissingError(f"{python}: does not run as a Python interpreter ({''.join(said) or 'no answer'})") from None
    return {**answer, "executable": str(python)}


def _how(method: str, path: Path) -> str:
    folder = path.parent.parent if path.parent.name == "bin" else path
    return (
        f"Make one: python3 -m venv {folder} && {folder}/bin/python -m pip install torch numpy (of the versions the "
        f"method wants). An environment elsewhere is named by {VARIABLE}={method}=PATH."
    )


def _import_places(plugin: Plugin, card: MethodCard) -> list[Path]:
    """Folders that a network from outside or a single file may import from, besides what is installed."""
    if not (card.network or isinstance(plugin, FoundFile)):
        return []
    return ([card_path(card, plugin.folder)] if card.path else []) + [plugin.folder]


def _readable(weights: str | None, foreign: bool) -> str | IO[bytes] | None:
    """The weights as what the other side can read: a safetensors file's path, or an unnamed one of a checkpoint.

    Raises:
        UsageError: not readable as what it should be; of a checkpoint tensors are read and nothing is run.
    """
    if not weights:
        return None
    file = Path(weights).resolve()
    if not foreign:
        read_weights(file)
        return str(file)
    from safetensors.torch import save

    tensors = read_foreign(file).all_tensors  # the other side, which has the network, chooses
    stream = tempfile.TemporaryFile()
    stream.write(save({name: tensor.clone().contiguous() for name, tensor in tensors.items()}))
    stream.flush()
    return stream


class MemoryFile:
    """Memory shared with a child by an open descriptor; it has no name and is gone with the last process."""

    def __init__(self) -> None:
        self.fd = _unnamed()
        self.size = 0

    def view(self, size: int) -> mmap.mmap:
        """At least `size` bytes of it.

        Raises:
            FailedElsewhere: there is not that much memory (or disk, where memory files are not known).
        """
        try:
            if size > self.size:
                os.posix_fallocate(self.fd, 0, size) if hasattr(os, "posix_fallocate") else os.ftruncate(self.fd, size)
                self.size = size
            return mmap.mmap(self.fd, size)
        except OSError as error:
            raise FailedElsewhere(
                "no room",
                f"out of memory: no room for {size / 1e6:.0f} MB of frames between two processes ({error.strerror}). "
                "End what else takes memory; where there are no memory files, free space in TMPDIR or name another.",
            ) from None

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(OSError):
            os.close(self.fd)


def _unnamed() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("deblurbench-frames")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class IsolatedMethod(Elsewhere):
    """A method of a plugin's folder, run under another Python.

    Raises (when made):
        FailedElsewhere: it cannot be made ready there, with that Python's traceback.
        UsageError: the weights are no readable safetensors file.
    """

    def __init__(
        self, plugin: Plugin, environment: Mapping[str, str], *, variant: str, weights: str | None,
        device: str, precision: str, tile: int | None, seed: int,
    ) -> None:  # fmt: skip
        card = plugin.card
        assert isinstance(card, MethodCard)
        if card.opens:
            raise UsageError(
                f"method {plugin.name!r} opens files by a class of the harness's, which a Python of its own has not. "
                f"Write a card with `network`, `weights` and `python`, or leave it out of {VARIABLE}."
            )
        needs = card.needs_of(variant)
        self._weights = _readable(weights, foreign=plugin.is_adapted)
        self._python = environment["executable"]
        self._order: dict[str, Any] = {
            "order": "make", "folder": str(plugin.folder), "entry": card.entry,
            "parameters": dict(card.variants[variant].parameters),
            "file": str(plugin.file) if isinstance(plugin, FoundFile) else None,
            "network": card.network, "needs": needs.model_dump(mode="json"),
            "paths": [str(place) for place in _import_places(plugin, card)],
            "weights": None, "device": device, "precision": precision, "tile": tile,
            "multiple_of": needs.multiple_of, "seed": seed,
        }  # fmt: skip
        try:
            json.dumps(self._order)
        except TypeError as error:
            raise CardError(f"{plugin.folder}/card.yaml: parameters must be plain values ({error})") from None
        self._guarded: GuardedProcess | None = None
        self._start()

    def _start(self) -> None:
        self._memory = MemoryFile()
        passed = [self._memory.fd]
        self._order["weights"] = self._weights
        if not isinstance(self._weights, str | None):
            self._weights.seek(0)
            self._order["weights"] = self._weights.fileno()
            passed.append(self._weights.fileno())
        self._guarded = GuardedProcess(
            [self._python, "-I", own_python_main.__file__], pass_fds=passed, cwd=Path("/"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            self._send(**self._order, memory=self._memory.fd)
            ready = self._next()
        except BaseException:
            self.close()
            raise
        self.versions, self.parameters = ready["versions"], ready["parameters"]
        self.random, self.outside, self.radius = ready["random"], ready["outside"], ready["radius"]
        self.caveat = ready["caveat"]

    def close(self) -> None:
        """End the process."""
        if self._guarded:
            self._guarded.close()
            self._memory.close()
        self._guarded = None

    def _send(self, **order: Any) -> None:
        assert self._guarded and self._guarded.process.stdin
        with contextlib.suppress(BrokenPipeError):  # the next answer tells why
            self._guarded.process.stdin.write((json.dumps(order) + "\n").encode())
            self._guarded.process.stdin.flush()

    def _next(self) -> dict[str, Any]:
        """The next answer.

        Raises:
            FailedElsewhere: the method failed there, or its process is gone.
            ContractError: the method broke the contract.
        """
        assert self._guarded and self._guarded.process.stdout
        line = self._guarded.process.stdout.readline()
        if not line:
            code = self._guarded.wait(ENDING)
            raise FailedElsewhere(*exit_reason(code, "the process of its own environment"))
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "failed":
            if event["kind"] == "contract":
                raise ContractError(event["reason"])
            raise FailedElsewhere(event["kind"], event["reason"], event["traceback"])
        return event

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Pass a clip through the other process: at most SLOTS frames ahead, and SLOTS behind."""
        walk = iter(frames)
        first = next(walk, None)
        if first is None:
            return
        if self._guarded is None:
            self._start()
        finished = False
        try:
            yield from self._pass(first, walk)
            finished = True
        finally:
            if not finished:  # in the middle of a clip: the next one begins with a fresh process
                self.close()

    def _pass(self, first: Tensor, rest: Iterator[Tensor]) -> Iterator[Tensor]:
        slots = _Slots(self._memory, tuple(first.shape))
        self._send(order="clip", shape=slots.shape)
        free, pending, ended = list(range(SLOTS)), first, False
        while True:
            while free and not ended:
                slots.write(free[0], pending)
                self._send(order="frame", slot=free.pop(0))
                following = next(rest, None)
                if following is None:
                    self._send(order="end")
                    ended = True
                else:
                    pending = following
            event = self._next()
            if event["event"] == "free":
                free.append(event["slot"])
            elif event["event"] == "done":
                self.peak_memory = event["peak_memory"]
                return
            else:
                restored = slots.read(event["slot"])
                self._send(order="taken", slot=event["slot"])
                self.seconds = event["seconds"]
                yield restored


class _Slots:
    """Frames of one shape (3, H, W) in the memory file."""

    def __init__(self, memory: MemoryFile, shape: tuple[int, ...]) -> None:
        import numpy as np

        self.shape = shape
        size = 2 * SLOTS * FLOAT32 * shape[0] * shape[1] * shape[2]
        self.values = np.frombuffer(memory.view(size), np.float32).reshape(2 * SLOTS, *shape)

    def write(self, slot: int, frame: Tensor) -> None:
        if tuple(frame.shape) != self.shape:
            raise ContractError(f"a frame is of shape {tuple(frame.shape)}, the first of its clip {self.shape}")
        self.values[slot] = frame.detach().cpu().numpy()

    def read(self, slot: int) -> Tensor:
        import torch

        return torch.from_numpy(self.values[slot].copy())
