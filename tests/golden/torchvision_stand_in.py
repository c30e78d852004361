"""A stand-in for torchvision, for importing packages that name it: its binary often does not fit the torch at hand."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

PARTS = ("torchvision", "torchvision.models", "torchvision.transforms", "torchvision.transforms.functional",
         "torchvision.ops", "torchvision.utils")  # fmt: skip


class _Empty(types.ModuleType):
    """A module in which every public name is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("_"):
            raise AttributeError(name)


@contextmanager
def stand_in_for_torchvision() -> Iterator[None]:
    """Within the block `import torchvision` gives modules of Nones; what was imported before comes back after it."""
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "torchvision"}
    for name in kept:
        del sys.modules[name]
    for name in PARTS:
        module = _Empty(name)
        module.__path__ = []
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in PARTS:
            sys.modules.pop(name, None)
        sys.modules.update(kept)


def import_with_stand_in(name: str) -> types.ModuleType:
    """Import a module that may name torchvision at its top."""
    with stand_in_for_torchvision():
        return importlib.import_module(name)
