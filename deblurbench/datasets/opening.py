"""Datasets opened by name, at the folders that the user named."""

from __future__ import annotations

import os
from pathlib import Path

from deblurbench.datasets.base import Dataset, folders_of, how_to_get
from deblurbench.errors import MissingError
from deblurbench.registry.cards import DatasetCard
from deblurbench.registry.discovery import plugin, plugins
from deblurbench.registry.protocol import Protocol


def open_dataset(text: str, root: str | None) -> tuple[Dataset, Protocol]:
    """The dataset and protocol of `name[:protocol]`; the protocol may stand in the card as `name:a` only.

    Raises:
        UsageError: unknown dataset or protocol; the nearest name is given.
        MissingError: the data root was not named or is not there.
    """
    name, _, protocol_name = text.partition(":")
    entry = plugin("datasets", name)
    card = entry.card
    assert isinstance(card, DatasetCard)
    protocol = card.protocol(protocol_name or None)
    place = _root(card, root)
    dataset = entry.load()(card, place, **card.parameters)
    return dataset, protocol


def trainable_datasets() -> list[str]:
    """Names of the datasets that can be trained on, in alphabetical order."""
    cards = {name: entry.card for name, entry in plugins("datasets").items()}
    return sorted(name for name, card in cards.items() if isinstance(card, DatasetCard) and not card.not_for_training)


def _root(card: DatasetCard, root: str | None) -> Path | None:
    text = root or (os.environ.get("DEBLURBENCH_DATA") if card.needs_root else None)
    if text is None and not card.needs_root:
        return None
    folders = folders_of(text)
    if len(folders) > 1 and not card.several_roots:
        folders = [Path(str(text))]
    gone = [folder for folder in folders if not folder.exists()]
    if folders and not gone:
        return Path(os.pathsep.join(map(str, folders)))
    if not folders:
        fault = "no data root. Give --data-root DIR or set DEBLURBENCH_DATA."
    else:
        fault = f"{gone[0]} does not exist (from {'--data-root' if root else 'DEBLURBENCH_DATA'})."
    raise MissingError(f"dataset {card.name!r}: {fault}\n{how_to_get(card)}")
