"""Weight files: found by tag or path, checked by sha256, loaded strictly. Random weights are never scored silently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from deblurbench.errors import MissingError, UsageError
from deblurbench.frames.files import not_the_file
from deblurbench.provenance import file_sha256
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin
from deblurbench.registry.documents import WHOLE, DocumentError, parse_json, plain, read_json
from deblurbench.text import did_you_mean

if TYPE_CHECKING:
    import torch


TRAINED = "weights.safetensors"
"""The file that `train` writes beside training.json, which has its sha256."""
RECORD = {"method", "variant", "note", "sha256"}
"""Keys of a training record that are text, where they are given; `trained_on` is a list of texts."""
LONGEST_HEAD = 2**27
"""The most bytes of a safetensors header, of which each tensor takes some 100."""


@dataclass(frozen=True)
class WeightsFile:
    """A weight file that was found and whose digest was checked."""

    tag: str
    file: Path
    sha256: str
    trained_on: tuple[str, ...] = ()
    note: str = ""


def find_weights(plugin: Plugin, variant: str, wanted: str | None) -> WeightsFile | None:
    """The weight file for a variant: by tag, by path (.safetensors or a training folder), or the card's default.

    Returns None for a method that needs none.

    Raises:
        UsageError: unknown tag, or a file that is not safetensors or not the one the card means.
        MissingError: the variant has no weights yet, or the named file is not there.
    """
    card = plugin.card
    assert isinstance(card, MethodCard)
    if card.opens:
        return _opened(plugin, card, wanted)
    is_tag = any(weights.tag == wanted for weights in card.weights)  # a folder of that name does not hide it
    if wanted and not is_tag and (wanted.endswith(".safetensors") or "/" in wanted or Path(wanted).exists()):
        return _from_path(Path(wanted).expanduser(), plugin.folder, card, variant)
    if not card.needs_weights:
        if wanted:
            raise UsageError(f"method {card.name!r} has no weights, but {wanted!r} was asked for. Leave it out.")
        return None
    fitting = {w.tag: w for w in card.weights if w.variant == variant}
    if wanted is None:
        wanted = card.default.weights if card.default and card.default.variant == variant else None
        wanted = wanted or next(iter(fitting), None)
        if wanted is None:
            raise MissingError(_train_me(plugin.reference, card, variant))
    if wanted not in fitting:
        names = [f"{w.variant}@{w.tag}" for w in card.weights]
        raise UsageError(
            f"method {card.name!r}, variant {variant!r}, has no weights {wanted!r}. "
            f"{did_you_mean(f'{variant}@{wanted}', names)} A path to a .safetensors file works, too."
        )
    entry = fitting[wanted]
    file = plugin.folder / entry.file
    try:
        digest = file_sha256(file)
    except MissingError as error:
        raise MissingError(f"{error} Fetch or train these weights.") from error
    if entry.sha256 and digest != entry.sha256:
        raise UsageError(
            f"{file}: sha256 is {digest}, but the card says {entry.sha256}. The file is damaged or was replaced; "
            f"restore it, or name it by its path to use it as it is."
        )
    return WeightsFile(entry.tag, file, digest, entry.trained_on, entry.note)


def _opened(plugin: Plugin, card: MethodCard, wanted: str | None) -> WeightsFile:
    """The file that a method was made of; it stands for weights."""
    if plugin.opened is None:
        raise UsageError(
            f"method {card.name!r} runs files ({', '.join(card.opens)}); name one: ./net{card.opens[0]} or "
            f"{card.name}@PATH"
        )
    if wanted:
        raise UsageError(f"{plugin.opened}: holds its weights itself, but {wanted!r} was asked for. Leave it out.")
    return WeightsFile(plugin.opened.stem, plugin.opened, file_sha256(plugin.opened))


def _train_me(reference: str, card: MethodCard, variant: str) -> str:
    if card.network:
        return (
            f"method {card.name!r} has no weights, and random weights are not scored. Name a checkpoint behind it, "
            f"as in '{reference}@net.pth', or in its card: 'weights: net.pth'. "
            "(--random-weights runs it all the same, and marks the row.)"
        )
    have = ", ".join(sorted({f"{card.name}:{w.variant}" for w in card.weights})) or "none"
    return (
        f"method '{card.name}:{variant}' has no weights, and random weights are not scored. Train them: "
        f"'deblurbench train {reference}:{variant} --dataset mini --recipe {card.variants[variant].recipe}', then run "
        f"'{reference}:{variant}@TRAINING_FOLDER'. Variants with weights: {have}. "
        "(--random-weights runs it all the same, and marks the row.)"
    )


def _from_path(path: Path, folder: Path, card: MethodCard, variant: str) -> WeightsFile:
    file, tag = file_and_tag(path)
    if not file.is_file():
        raise MissingError(f"{file}: no weight file there. Name a .safetensors file or a folder that 'train' wrote.")
    if not card.network:  # a card alone takes other people's checkpoints, too
        _look_inside(file)
    story = read_story(file.parent)
    digest = file_sha256(file)
    if file.name == TRAINED and story.get("sha256", digest) != digest:
        raise UsageError(
            f"{file}: sha256 is {digest}, but training.json beside it says {story['sha256']}. The file is damaged or "
            "was replaced: train again, or copy it elsewhere to use it as it is."
        )
    told = story or _told_within(file)
    meant = told.get("method", card.name), told.get("variant", variant)
    if meant != (card.name, variant):
        raise UsageError(
            f"{file}: trained as '{meant[0]}:{meant[1]}', asked for as '{card.name}:{variant}'. "
            f"Run '{meant[0]}:{meant[1]}@{path}'."
        )
    if not told and not card.network:
        _compare_with_shipped(file, folder, card, variant)
    return WeightsFile(tag, file, digest, seen_by(file, card), told.get("note", ""))


def file_and_tag(path: Path) -> tuple[Path, str]:
    """The weight file that a path means, which may be a training's folder, and the tag that it goes by."""
    file = path / TRAINED if path.is_dir() else path
    return file, file.parent.resolve().name if file.name == TRAINED else file.stem


def _compare_with_shipped(file: Path, folder: Path, card: MethodCard, variant: str) -> None:
    """Hold the names and shapes of a file of unknown origin to those of a variant's own weights, without torch.

    Where no weights of the variant ship, or they are damaged, loading the file shows whether it fits.

    Raises:
        UsageError: they differ.
    """
    own = [folder / w.file for w in card.weights if w.variant == variant]
    try:
        shipped = _look_inside(own[0])
    except (IndexError, OSError, UsageError):
        return
    _refuse_unlike(file, _shapes(shipped), _shapes(_look_inside(file)))


def _shapes(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Of the tensors that a header tells of only their `shape`, by name."""
    return {name: SimpleNamespace(shape=entry["shape"]) for name, entry in entries.items()}


def read_story(folder: Path) -> dict[str, Any]:
    """What `train` wrote into the training.json of its folder; empty where there is none.

    Raises:
        UsageError: the file is damaged.
    """
    file = folder / "training.json"
    if not file.is_file():
        return {}
    try:
        told = plain(read_json(file), finite=False)
        _check_record(told)
    except DocumentError as error:
        raise UsageError(f"{file}: {error}. Train again, or move the weights elsewhere.") from error
    return dict(told)


def _check_record(told: Any) -> None:
    """See that what stands in training.json, or in a file's metadata, has the types of RECORD.

    Raises:
        DocumentError: it has not; names the key.
    """
    if not isinstance(told, dict):
        raise DocumentError(f"expected a mapping, found {type(told).__name__}")
    for key in RECORD & told.keys():
        if not isinstance(told[key], str):
            raise DocumentError(f"{key}: expected text, found {type(told[key]).__name__}")
    seen = told.get("trained_on", [])
    if not isinstance(seen, list) or not all(isinstance(entry, str) for entry in seen):
        raise DocumentError("trained_on: expected a list of texts")


def trained_as(file: Path, card: MethodCard) -> str | None:
    """The variant of `card` that a weight file was trained as, by what lies beside or in it or by the card.

    Raises:
        UsageError: they are another method's.
    """
    told = read_story(file.parent) or _told_within(file)
    if told.get("method", card.name) != card.name:
        raise UsageError(f"{file}: weights of method {told['method']!r}, not of {card.name!r}.")
    digest = file_sha256(file)
    return told.get("variant") or next((w.variant for w in card.weights if w.sha256 == digest), None)


def seen_by(file: Path, card: MethodCard) -> tuple[str, ...]:
    """What a weight file was trained on, dataset[/split[/clip]], as far as its story or the card tells."""
    told = read_story(file.parent) or _told_within(file)
    if "trained_on" in told:
        return tuple(told["trained_on"])
    digest = file_sha256(file)
    return next((w.trained_on for w in card.weights if w.sha256 == digest), ())


def _told_within(file: Path) -> dict[str, Any]:
    """What `import-weights` wrote into a safetensors file's metadata; empty for any other file.

    Raises:
        UsageError: our entry is there, and is damaged.
    """
    try:
        text = parse_json(_head(file))["__metadata__"]["deblurbench"]
    except (DocumentError, KeyError, TypeError):  # what is no safetensors file, `load_weights` names
        return {}
    try:
        told = plain(parse_json(text), finite=False) if isinstance(text, str) else text
        _check_record(told)
    except DocumentError as error:
        raise UsageError(f"{file}: its metadata, entry 'deblurbench': {error}. Import the weights again.") from error
    return dict(told)


def _head(file: Path) -> bytes:
    """The bytes of a safetensors file's header; empty where its length cannot be right."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        return stream.read(length) if length < min(file.stat().st_size, LONGEST_HEAD) else b""


def load_weights(
    network: torch.nn.Module,
    file: Path,
    adopt: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]] | None = None,
) -> None:
    """Load a safetensors file into a network, strictly: the same keys, the same shapes. Half precision is widened.

    `adopt` may turn the file's tensors first, as `Method.adopt` does for another variant's.

    Raises:
        UsageError: not safetensors, see `read_weights`, or another architecture.
    """
    state = adopt(read_weights(file)) if adopt else read_weights(file)
    _refuse_unlike(file, network.state_dict(), state)
    network.load_state_dict(state, strict=True)


def _refuse_unlike(file: Path, own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """See that a file's tensors have the names and shapes of a network's own.

    Raises:
        UsageError: they have not; says where they differ.
    """
    faults = differences(own, state)
    prefix = shared_prefix(own, state)
    if prefix:
        raise UsageError(
            f"{file}: every key begins with {prefix!r} before the network's own name, as a wrapped network saves them. "
            "'deblurbench import-weights' takes that off and writes a file that fits."
        )
    if faults:
        raise UsageError(
            f"{file}: these weights are of another architecture or variant: {faults}. "
            "Name the variant that they were trained as."
        )


def read_weights(file: Path) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file, by name.

    Raises:
        UsageError: not safetensors (a pickle, a web page, an LFS pointer, cut short).
    """
    _look_at_first_bytes(file)
    return read_safetensors(file)


def read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    """All tensors of a file that begins as safetensors do, by name.

    Raises:
        UsageError: damaged or cut short.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise UsageError(f"{file}: not a readable safetensors file, damaged or cut short ({error})") from error


def differences(own: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """The first five keys or shapes by which weights differ from a network's own; empty where they fit."""
    missing = [f"missing {key}" for key in own if key not in state]
    unexpected = [f"unexpected {key}" for key in state if key not in own]
    faults = [fault for pair in zip_longest(missing, unexpected) for fault in pair if fault]
    faults += [
        f"{key} is {tuple(state[key].shape)}, the network has {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    return "; ".join(faults[:5]) + (f" (and {len(faults) - 5} more)" if len(faults) > 5 else "")


def shared_prefix(own: Mapping[str, object], state: Mapping[str, object]) -> str:
    """What stands before all of a network's own names in a file ('module.'); empty where they are as they should be."""
    key = next(iter(own), "")
    before = next((name[: -len(key)] for name in state if key and name.endswith(f".{key}")), "")
    return before if before and {f"{before}{name}" for name in own} == set(state) else ""


def _look_inside(file: Path) -> dict[str, Any]:
    """See, without torch, that a file is whole and safetensors. Returns what its header tells of each tensor.

    Raises:
        UsageError: it is not; says what it is, or by how much it is cut short.
    """
    _look_at_first_bytes(file)
    size, head = file.stat().st_size, _head(file)
    try:
        told = _tensors(parse_json(head))
    except DocumentError as error:
        raise UsageError(f"{file}: not a readable safetensors file, damaged or cut short ({error})") from error
    wanted = 8 + len(head) + max((entry["data_offsets"][1] for entry in told.values()), default=0)
    if wanted != size:
        raise UsageError(f"{file}: damaged or cut short: {size} bytes, its header tells of {wanted}. Fetch it again.")
    return told


def _tensors(header: Any) -> dict[str, Any]:
    """The entries of a header's tensors.

    Raises:
        DocumentError: one of them has no `shape` and `data_offsets` of whole numbers; named.
    """
    if not isinstance(header, dict):
        raise DocumentError(f"its header is no mapping but {type(header).__name__}")
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    for name, entry in tensors.items():
        whole = isinstance(entry, dict) and _are_counts(entry.get("shape")) and _are_counts(entry.get("data_offsets"))
        if not whole or len(entry["data_offsets"]) != 2:
            raise DocumentError(f"tensor {name[:60]!r} has no shape and data_offsets of whole numbers")
    return tensors


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < WHOLE for value in values)


def _look_at_first_bytes(file: Path) -> None:
    with file.open("rb") as stream:
        start = stream.read(200)
    found = not_the_file(start, "weights")
    if start.startswith((b"PK\x03\x04", b"\x80")) and start[8:9] != b"{":  # a length of 128 begins with \x80, too
        found = (
            "a pickle (.pth, .pt), which can run code when it is opened; it was not opened. "
            "Convert it to safetensors by 'deblurbench import-weights', which opens tensors only"
        )
    if found:
        raise UsageError(f"{file}: {found}.")
