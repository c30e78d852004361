"""Rooms: the folders where plugins lie, and the registry that reads them.

A room is `methods`, `datasets`, `reports` or `metrics`. Each plugin is a folder with a card.yaml. Listing reads cards
only and imports no plugin. Plugins come from, in this order:

1. the top-level folders of the repository (or, installed, `deblurbench/<room>/` inside the wheel),
2. packages that name a search folder by the entry point group `deblurbench.plugins`,
3. folders of the environment variable DEBLURBENCH_PLUGINS (each with methods/, datasets/, reports/ or metrics/).

A name that occurs twice is an error. A plugin whose card or import fails stays listed as broken, with its error.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from deblurbench.errors import CardError, UsageError
from deblurbench.provenance import file_sha256
from deblurbench.registry.cards import DatasetCard, MethodCard, MetricCard, PluginCard, ReportCard
from deblurbench.registry.import_plugin import import_module_of
from deblurbench.registry.read_card import read_card
from deblurbench.registry.requirements import code_digest, how_to_install, refuse_missing_packages
from deblurbench.text import did_you_mean

Room = Literal["methods", "datasets", "reports", "metrics"]
CARDS: dict[Room, type[PluginCard]] = {
    "methods": MethodCard, "datasets": DatasetCard, "reports": ReportCard, "metrics": MetricCard,
}  # fmt: skip
ENVIRONMENT = "DEBLURBENCH_PLUGINS"
GROUP = "deblurbench.plugins"
log = logging.getLogger("deblurbench")


@dataclass(frozen=True)
class Plugin:
    """One folder of a room: its card, or the error that keeps it from being used."""

    room: Room
    name: str
    folder: Path
    card: PluginCard | None
    error: str | None = None
    opened: Path | None = None  # the file that it makes a network of, for a method that opens files

    @property
    def reference(self) -> str:
        """What it is found by: its name, or the path of one that lies outside the rooms."""
        return self.name

    @property
    def in_process(self) -> bool:
        """Whether it can run in this process only."""
        return False

    def load(self) -> Callable[..., Any]:
        """Import the class that the card's `entry` names; an adapter is handed this plugin as its first argument.

        Raises:
            CardError: the card is broken, the import fails, or the class is not there. Never swallowed.
            MissingError: a package that the card names under `requires` is not installed.
        """
        if self.card is None:
            raise CardError(f"{self.room[:-1]} {self.name!r} is broken: {self.error}")
        self.refuse_missing_packages()
        if isinstance(self.card, MethodCard) and self.card.command:
            raise UsageError(f"method {self.name!r} is a command: it has no class to be made, trained or counted")
        module_name, _, class_name = self.card.entry.partition(":")
        try:
            module = self.module(module_name)
        except Exception as error:  # an import may fail in any way; the error names the plugin and the cause
            raise CardError(
                f"{self.room[:-1]} {self.name!r} fails to import ({self.folder}): {type(error).__name__}: {error}"
                f"{how_to_install(self.card, self.folder, error)}"
            ) from error
        loaded: Callable[..., Any] | None = getattr(module, class_name, None)
        if loaded is None:
            raise CardError(f"{self.folder / 'card.yaml'}: entry names {class_name!r}, not found in {module_name}.py")
        return functools.partial(loaded, self) if self.is_adapted else loaded

    @property
    def is_adapted(self) -> bool:
        """Whether its class is an adapter to a network from outside."""
        return isinstance(self.card, MethodCard) and bool(self.card.network or self.card.opens)

    def module(self, name: str) -> ModuleType:
        """Import a module of the plugin's folder, or one of the harness's own adapters."""
        if name.startswith("deblurbench."):
            return importlib.import_module(name)
        return import_module_of(self.folder, name, f"deblurbench.{self.room}")

    def refuse_missing_packages(self) -> None:
        """See that the packages that the card needs are installed; imports nothing.

        Raises:
            MissingError: some are not; the message says how to install them.
        """
        if self.card is not None:
            refuse_missing_packages(self.card, self.folder)

    def code_digest(self) -> str:
        """sha256 over the plugin's code."""
        return code_digest(self.card, self.folder)

    def card_digest(self) -> str:
        """sha256 of the file that holds the card."""
        return file_sha256(self.folder / "card.yaml")


def mount(room: Room) -> list[str]:
    """Folders that extend `deblurbench.<room>.__path__`: the repository's top-level room, if this is a checkout."""
    top = Path(__file__).resolve().parents[2]
    folder = top / room
    if (top / "pyproject.toml").is_file() and (folder / "README.md").is_file():
        return [str(folder)]
    return []


def search_folders(room: Room) -> list[Path]:
    """Folders that are searched for plugins of a room, in order, without repeats."""
    folders = [Path(__file__).resolve().parents[1] / room, *map(Path, mount(room))]
    for entry in importlib.metadata.entry_points(group=GROUP):
        module, _, sub = entry.value.partition(":")
        why = f"no module {module}"
        try:
            spec = importlib.util.find_spec(module)  # of a.b it imports a
        except Exception as error:  # whatever it does, the other plugins are found
            spec, why = None, f"{type(error).__name__}: {error}"
        if spec is None:
            _warn(entry.name, entry.value, why)
        for location in (spec.submodule_search_locations or []) if spec else []:
            folders.append(Path(location) / sub.replace(".", "/") / room)
    for private in filter(None, os.environ.get(ENVIRONMENT, "").split(os.pathsep)):
        try:
            folders.append(Path(private).expanduser().resolve() / room)
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
            _warn(ENVIRONMENT, private, f"{type(error).__name__}: {error}")
    return [f for f in dict.fromkeys(folders) if f.is_dir()]


@cache
def _warn(name: str, value: str, why: str) -> None:
    """Say once that the plugins of an installed package or of a folder are left out."""
    place = name if name == ENVIRONMENT else f"entry point {name}"
    log.warning("%s = %s (%s) is left out: %s", place, value, GROUP, why)


@cache
def _scan(room: Room, folders: tuple[Path, ...]) -> dict[str, Plugin]:
    by_name: dict[str, Plugin] = {}
    for folder in folders:
        for card_file in sorted(folder.glob("*/card.yaml")):
            plugin = _read(room, card_file)
            twin = by_name.get(plugin.name)
            if twin:
                raise CardError(
                    f"two {room} are called {plugin.name!r}: {twin.folder} and {plugin.folder}. Rename one of them."
                )
            by_name[plugin.name] = plugin
    return dict(sorted(by_name.items()))


def _read(room: Room, card_file: Path) -> Plugin:
    folder = card_file.parent
    try:
        card = read_card(card_file, CARDS[room])
    except CardError as error:
        return Plugin(room, folder.name, folder, None, str(error))
    except Exception as error:  # whatever a card does to the reader, the other plugins are listed
        return Plugin(room, folder.name, folder, None, f"{card_file}: {type(error).__name__}: {str(error)[:200]}")
    return Plugin(room, card.name, folder, card)


def plugins(room: Room) -> dict[str, Plugin]:
    """All plugins of a room by name, broken ones included. Reads cards only.

    Raises:
        CardError: two plugins share a name.
    """
    return _scan(room, tuple(search_folders(room)))


def plugin(room: Room, name: str) -> Plugin:
    """One plugin by name.

    Raises:
        UsageError: no such name; the nearest one is given.
        CardError: it is there but its card is broken.
    """
    by_name = plugins(room)
    if name not in by_name:
        raise UsageError(f"unknown {room[:-1]} {name!r}. {did_you_mean(name, by_name)}")
    if by_name[name].card is None:
        raise CardError(f"{room[:-1]} {name!r} is broken: {by_name[name].error}")
    return by_name[name]
