"""How a plugin's modules are imported: each folder is a package of its own, whatever it is called.

Standard library only, and Python 3.9, since methods in a separate environment are imported by it, too.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def import_module_of(folder: Path, name: str, room: str = "") -> ModuleType:
    """Import a module of a plugin's folder; whatever the import raises is passed on.

    `room`: the package, such as deblurbench.methods, in which Python may find the folder by itself.
    """
    return importlib.import_module(f"{package_of(folder, room)}.{name}")


def package_of(folder: Path, room: str = "") -> str:
    """The name of the package whose modules are those of `folder`.

    A folder that Python finds as `<room>.<folder>`, as the shipped ones, has that name, so that other code imports the
    same modules by it. Every other becomes a private package named by its path: a method may be called as a module of
    the room is (image, base, layers), and two folders of one name stay apart.
    """
    name = f"{room}.{folder.name}"
    if room and _place(name, room) == str(folder):
        return name
    private = f"deblurbench_plugin_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    if private not in sys.modules:
        _make_package(private, folder)
    return private


def _place(name: str, room: str) -> str:
    """Where Python finds a package of the room; empty where it finds none, or a module."""
    spec = importlib.machinery.PathFinder.find_spec(name, importlib.import_module(room).__path__)
    return next(iter((spec and spec.submodule_search_locations) or ()), "")


def _make_package(name: str, folder: Path) -> None:
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
    else:
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    assert spec
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    try:
        if spec.loader:
            spec.loader.exec_module(package)
    except BaseException:
        del sys.modules[name]
        raise
