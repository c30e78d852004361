"""Any torch.nn.Module by a card alone: `network: package.module:Class`, `needs`, `weights`. No line of code.

The class is called with the variant's parameters; the harness then loads the checkpoint into it, strictly.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from deblurbench.errors import CardError, UsageError
from deblurbench.methods.adapter import Foreign
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin
from deblurbench.registry.requirements import card_path, how_to_install, network_place, refuse_missing_packages


class TorchModule(Foreign):
    """The network that a card names.

    Raises:
        MissingError: its package is not installed.
        CardError: it fails to import, is no torch.nn.Module, or does not take the variant's parameters.
    """

    def __init__(self, found: Plugin, **parameters: Any) -> None:
        import torch

        card = found.card
        assert isinstance(card, MethodCard) and card.network
        super().__init__(card.needs)
        name = card.network.partition(":")[2]
        made = getattr(_module(card, found.folder), name, None)
        where = f"{found.folder / 'card.yaml'}: network: {card.network}"
        if made is None:
            raise CardError(f"{where}: no {name!r} in that module")
        try:
            self.network = made(**parameters)
        except Exception as error:  # a constructor may fail in any way; the card's author is told with what
            raise CardError(f"{where}: {name}(**{parameters}) fails: {type(error).__name__}: {error}") from error
        if not isinstance(self.network, torch.nn.Module):
            raise CardError(f"{where}: makes a {type(self.network).__name__}, expected a torch.nn.Module")

    def call(self, *tensors: Any) -> Any:
        """network(frames), or network(frame, state)."""
        assert self.network is not None
        return self.network(*tensors)


def _module(card: MethodCard, folder: Path) -> ModuleType:
    """Import the module of `network`; `path` and the card's folder are searched after all that is installed."""
    refuse_missing_packages(card, folder)
    for place in ([card_path(card, folder)] if card.path else []) + [folder]:
        if str(place) not in sys.path:
            sys.path.append(str(place))
    importlib.invalidate_caches()
    name = (card.network or "").partition(":")[0]
    try:
        module = importlib.import_module(name)
    except Exception as error:  # an import may fail in any way
        raise CardError(
            f"{folder / 'card.yaml'}: network: {name} fails to import: {type(error).__name__}: {error}"
            f"{how_to_install(card, folder, error)}"
        ) from error
    expected, came = network_place(card, folder), Path(module.__file__ or ".").resolve()
    if expected and not came.is_relative_to(expected):
        raise UsageError(
            f"{folder / 'card.yaml'}: network: {name} was found in {came}, not in {expected}: two packages are called "
            "the same. Uninstall the other one, or run this method by itself."
        )
    return module
