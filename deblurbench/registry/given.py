"""Methods given as Python objects: an instance of one of the four forms, evaluated in the process that made it."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import inspect
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deblurbench.errors import UsageError
from deblurbench.registry.discovery import Plugin


@dataclass(frozen=True)
class GivenMethod(Plugin):
    """A method object with the card that describes it; a deep copy of it restores."""

    given: Any = None

    @property
    def reference(self) -> str:
        """Its name in angle brackets, as Python writes `<stdin>`."""
        return f"<{self.name}>"

    @property
    def in_process(self) -> bool:
        """True: an object does not reach a worker process."""
        return True

    def load(self) -> Callable[..., Any]:
        """A function that copies the object.

        Raises:
            UsageError: when called, if the object cannot be copied.
        """
        return functools.partial(_copied, self.given, self.name)

    def code_digest(self) -> str:
        """sha256 over the source of the object's classes, its tensors and its other values."""
        total = hashlib.sha256()
        for part in _parts(self.given):
            total.update(part + b"\0")
        return total.hexdigest()

    def card_digest(self) -> str:
        """sha256 of the card that was made for it."""
        assert self.card
        return hashlib.sha256(self.card.model_dump_json().encode()).hexdigest()


def _copied(given: Any, name: str) -> Any:
    try:
        return copy.deepcopy(given)
    except Exception as error:  # an object may refuse to be copied in any way
        raise UsageError(
            f"method {name!r}: the object cannot be copied ({type(error).__name__}: {error}). Detach its tensors and "
            "close its files, or write it as a Python file and name that by its path."
        ) from error


def _parts(value: Any) -> Iterator[bytes]:
    """What decides how an object computes, piece by piece. A piece that cannot be read is replaced by a random one."""
    if value is None or isinstance(value, (str, int, float, bytes, Path)):
        yield repr(value).encode()
    elif isinstance(value, Mapping):
        for key in value:
            yield from itertools.chain(_parts(key), _parts(value[key]))
    elif isinstance(value, (set, frozenset)):
        yield from _parts(sorted(map(repr, value)))
    elif isinstance(value, (list, tuple)):
        yield b"%d" % len(value)
        for each in value:
            yield from _parts(each)
    elif hasattr(value, "detach"):  # a torch tensor
        value = value.detach().cpu().contiguous()
        yield f"{tuple(value.shape)} {value.dtype}".encode()
        yield _bytes_of(value)
    elif hasattr(value, "tobytes"):  # a numpy array
        yield f"{value.shape} {value.dtype}".encode() + bytes(value.tobytes())
    elif inspect.isroutine(value) or isinstance(value, type):
        yield _source(value)
    elif hasattr(value, "__dict__"):
        kind: Any = type(value)
        yield _source(kind)
        yield from _parts({name: each for name, each in vars(value).items() if name != "training"})
    else:
        yield uuid.uuid4().bytes


def _bytes_of(tensor: Any) -> bytes:
    """The bytes of a contiguous tensor on the CPU, of any dtype."""
    import torch

    return bytes(tensor.flatten().view(torch.uint8).numpy().tobytes())


@functools.cache
def _source(kind: Any) -> bytes:
    """The source of a class or function; where it cannot be read, as in a console, bytes that no other process has."""
    try:
        return inspect.getsource(kind).encode()
    except (OSError, TypeError):
        return uuid.uuid4().bytes if getattr(kind, "__module__", "__main__") == "__main__" else repr(kind).encode()


_GIVEN: dict[str, GivenMethod] = {}


def given_method(reference: str) -> GivenMethod | None:
    """The object of this name in the evaluation that is going on.

    Raises:
        UsageError: `<name>` of an object that this process does not hold.
    """
    if reference.startswith("<") and reference not in _GIVEN:
        raise UsageError(
            f"method {reference!r} was given as a Python object: evaluate it again from Python, or write it as a file."
        )
    return _GIVEN.get(reference)


@contextlib.contextmanager
def offered(methods: Sequence[GivenMethod]) -> Iterator[None]:
    """Let methods be found by their references within the `with` block."""
    added = {method.reference: method for method in methods}
    before = dict(_GIVEN)
    _GIVEN.update(added)
    try:
        yield
    finally:
        _GIVEN.clear()
        _GIVEN.update(before)


def given_plugin(given: Any, card: Any) -> GivenMethod:
    """A method object with its card as a plugin; its folder is that of its class's file."""
    try:
        folder = Path(inspect.getfile(type(given))).parent
    except (OSError, TypeError):
        folder = Path.cwd()
    return GivenMethod("methods", card.name, folder, card, given=given)
