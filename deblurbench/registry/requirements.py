"""Which packages a plugin needs and which of them are missing, decided without importing any."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from pathlib import Path

from packaging.requirements import Requirement

from deblurbench import provenance
from deblurbench.errors import MissingError
from deblurbench.registry.cards import MethodCard, PluginCard, parse_requirement


def refuse_missing_packages(card: PluginCard, folder: Path) -> None:
    """See that the packages of a card's `requires` are installed, and the one that its `network` is imported from.

    Raises:
        MissingError: some are not; the message says how to install them.
    """
    missing = [text for text in card.requires if not _installed(text)]
    if missing:
        first = [parse_requirement(text)[0] for text in missing]
        command = card.install or f"pip install {' '.join(repr(str(requirement)) for requirement in first)}"
        here = ", ".join(f"{requirement}, {_present(requirement)}" for requirement in first)
        raise MissingError(f"{card.name!r} needs {here}. Install it: {command}")
    if isinstance(card, MethodCard) and card.network and network_place(card, folder) is None:
        top = card.network.partition(":")[0].partition(".")[0]
        where = f" in {card_path(card, folder)}, nor installed" if card.path else " here"
        command = card.install or f"pip install {top} (its name may be another than the module's)"
        raise MissingError(
            f"{card.name!r} takes its network from the package {top!r}, which is not found{where}. "
            f"Install it: {command}; or name the folder that holds it by `path` in the card."
        )


def how_to_install(card: PluginCard, folder: Path, error: BaseException) -> str:
    """What mends a failed import of a module, as the end of a sentence; empty where nothing is known."""
    if vision := about_torchvision(error):
        return f". {vision}"
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    name = error.name.partition(".")[0]
    own = _own_module(card, folder, name)
    if own is None:
        command = card.install or f"pip install {name} (its name may be another than the module's)"
        return f". Install the package that holds it: {command}"
    first = error.__context__ or error.__cause__
    before = f"; the error before this one was {type(first).__name__}: {first}" if first else ""
    return (
        f". {own} is the repository's own module, which no package replaces: its folder is not searched, or its own "
        f"import fails{before}"
    )


def _own_module(card: PluginCard, folder: Path, name: str) -> Path | None:
    """The file or package of that name among a plugin's own files."""
    places = [folder, *([card_path(card, folder)] if isinstance(card, MethodCard) and card.path else [])]
    patterns = (f"{name}.py", f"{name}/__init__.py")
    return next((file for place in places for pattern in patterns for file in place.rglob(pattern)), None)


def about_torchvision(error: BaseException | None) -> str:
    """What mends a torchvision that was built for another torch, where an import failed through that; else nothing."""
    while error is not None:
        where, frames = error.__traceback__, [str(error)]
        while where:
            frames.append(where.tb_frame.f_globals.get("__name__", ""))
            where = where.tb_next
        inside = any(name.partition(".")[0] == "torchvision" for name in frames[1:])
        lacking = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "torchvision"
        if (inside or "torchvision::" in frames[0]) and not lacking:
            return _matching_torchvision()
        error = error.__cause__ or error.__context__
    return ""


def _matching_torchvision() -> str:
    """Which torchvision to install beside the torch that is installed."""
    torch, vision = (_version(name) for name in ("torch", "torchvision"))
    minor = re.match(r"2\.(\d+)", torch)
    release = f"0.{int(minor[1]) + 15}.*" if minor else "X"
    build = f", of the build {torch.partition('+')[2]}, from the index that torch came from" if "+" in torch else ""
    return (
        f"torchvision {vision} does not fit torch {torch}: pip install --force-reinstall --no-deps "
        f"'torchvision=={release}'{build}"
    )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # a copy without metadata, somewhere on the path
        return "of unknown version"


def card_path(card: MethodCard, folder: Path) -> Path:
    """The folder of the card's `path`, relative to the card's own."""
    return folder / Path(card.path).expanduser()


def network_place(card: MethodCard, folder: Path) -> Path | None:
    """Where the top package of `network` lies: in the card's `path`, beside the card, or installed; None: nowhere."""
    assert card.network
    top = card.network.partition(":")[0].partition(".")[0]
    for place in ([card_path(card, folder)] if card.path else []) + [folder]:
        for candidate in (place / top, place / f"{top}.py"):
            if candidate.exists():
                return candidate.resolve()
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or []) or [spec.origin or ""]
    return Path(places[0]).resolve()


def code_digest(card: PluginCard | None, folder: Path) -> str:
    """sha256 over a plugin's code: its folder, and for a network from elsewhere the package it is imported from.

    The folder's data count as its code does; its card and the weights that this names have digests of their own.
    """
    weights = [folder / entry.file for entry in card.weights] if isinstance(card, MethodCard) else []
    own = provenance.plugin_digest(folder, [folder / "card.yaml", *weights])
    if not isinstance(card, MethodCard) or not card.network:
        return own
    place = network_place(card, folder)
    if place is None or place.is_relative_to(folder.resolve()):
        return own
    return provenance.text_digest(own, provenance.package_digest(place))


def _installed(requirement: str) -> bool:
    """Whether a requirement is met, by name and version; `a|b` means either."""
    return any(_is_met(alternative) for alternative in parse_requirement(requirement))


def _is_met(requirement: Requirement) -> bool:
    if requirement.marker and not requirement.marker.evaluate():
        return True
    version = _installed_version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _installed_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _present(requirement: Requirement) -> str:
    version = _installed_version(requirement.name)
    return f"installed here is {version}" if version else "not installed here"
