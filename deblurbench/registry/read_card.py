"""Cards read from files: card.yaml to a validated model, with every fault at once and its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from deblurbench.errors import CardError
from deblurbench.registry.cards import PluginCard
from deblurbench.registry.documents import CARD_BYTES, DocumentError, parse_yaml, read_text
from deblurbench.text import did_you_mean

FAULTS = 20
"""The most faults of a card that are listed."""

Card = TypeVar("Card", bound=PluginCard)


def read_card(path: Path, model: type[Card]) -> Card:
    """Read and validate one card.yaml.

    Raises:
        CardError: not YAML, wrong types, unknown keys; every fault at once, each with its path in the file.
    """
    return make_card(read_raw_card(path), path, model)


def read_raw_card(path: Path) -> dict[str, Any]:
    """The keys of a card file, not validated yet.

    Raises:
        CardError: not readable, not YAML, or no mapping.
    """
    try:
        return parse_card(read_text(path, CARD_BYTES), path)
    except DocumentError as error:
        raise CardError(f"{path}: {error}") from error


def parse_card(text: str, path: Path) -> dict[str, Any]:
    """The keys of a card's YAML text, which stands in `path`.

    Raises:
        CardError: not YAML, or no mapping.
    """
    try:
        raw = parse_yaml(text)
    except DocumentError as error:
        raise CardError(f"{path}: {error}") from error
    if not isinstance(raw, dict):
        raise CardError(f"{path}: a card is a mapping of keys, found {type(raw).__name__}")
    return raw


def make_card(raw: dict[str, Any], path: Path, model: type[Card]) -> Card:
    """The validated card of some keys; `path` is named in errors.

    Raises:
        CardError: every fault at once.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise CardError(_explain(path, model, error)) from error
    except (
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise CardError(f"{path}: not a card ({type(error).__name__}: {str(error)[:200]})") from error


def _explain(path: Path, model: type[PluginCard], error: ValidationError) -> str:
    lines = [f"{path}: {error.error_count()} fault(s) in this card:"]
    for fault in error.errors()[:FAULTS]:
        where = ".".join(str(part) for part in fault["loc"]) or "(whole card)"
        line = f"  {where}: {fault['msg']}"
        if fault["type"] == "extra_forbidden":
            line += f". {did_you_mean(str(fault['loc'][-1]), model.model_fields)}" if len(fault["loc"]) == 1 else ""
        else:
            line += f" (found {str(fault.get('input'))[:60]!r})"
        lines.append(line)
    return "\n".join(lines)
