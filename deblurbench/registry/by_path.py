"""Methods from outside: what a path given to `--methods` becomes.

| given | is |
|---|---|
| `./my_method.py` | the one method in a Python file (`deblurbench.registry.single_file`) |
| `./folder` | a folder with card.yaml, as in methods/ |
| `./net.onnx` | a file that a method of the registry `opens`, as its card says; `./net.yaml` beside it may say more |
| `NAME@./net.pth` | the same, opened by the method NAME |

Each becomes a `Plugin`, so that everything works with it that works with a method of the registry. Nothing here
imports a plugin or torch.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.machinery
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from deblurbench.errors import CardError, MissingError, UsageError
from deblurbench.provenance import code_digest, file_sha256
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin, plugin, plugins
from deblurbench.registry.given import given_method
from deblurbench.registry.read_card import make_card, read_card, read_raw_card
from deblurbench.registry.single_file import method_name, own_files, read_single_file

HARNESS_KEYS = ("entry", "opens", "network", "path", "weights", "requires", "install", "trainable", "recipes")


@dataclass(frozen=True)
class FoundFolder(Plugin):
    """A folder with a card that lies outside the rooms."""

    @property
    def reference(self) -> str:
        """Its path."""
        return str(self.folder)


@dataclass(frozen=True)
class FoundFile(Plugin):
    """A method in a single Python file; the file is its card and its code."""

    file: Path = Path()

    @property
    def reference(self) -> str:
        """Its path."""
        return str(self.file)

    def module(self, name: str) -> ModuleType:
        """Import the file; modules beside it can be imported by it, after everything that is installed."""
        unique = f"deblurbench_file_{name}_{_short_digest(self.file)}"
        if unique in sys.modules:
            return sys.modules[unique]
        spec = importlib.util.spec_from_file_location(unique, self.file)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        if str(self.folder) not in sys.path:
            sys.path.append(str(self.folder))
        sys.modules[unique] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[unique]
            raise
        return module

    def code_digest(self) -> str:
        """sha256 over the file and the modules beside it that it imports."""
        total = hashlib.sha256()
        for file in own_files(self.file):
            total.update(f"{file.relative_to(self.folder)}\0".encode() + code_digest(file.read_bytes()))
        return total.hexdigest()

    def card_digest(self) -> str:
        """sha256 of the file."""
        return file_sha256(self.file)


@dataclass(frozen=True)
class OpenedFile(Plugin):
    """A file that a method of the registry makes a network of; the file stands for its weights."""

    opener: str = ""

    @property
    def reference(self) -> str:
        """The opener's name and the file's path."""
        return f"{self.opener}@{self.opened}"

    def module(self, name: str) -> ModuleType:
        """Import the opener's module."""
        return plugin("methods", self.opener).module(name)

    def code_digest(self) -> str:
        """The opener's; the file's own digest is that of the weights."""
        return plugin("methods", self.opener).code_digest()

    def card_digest(self) -> str:
        """sha256 of the card beside the file, or the opener's where there is none."""
        assert self.opened
        beside = card_beside(self.opened)
        return file_sha256(beside) if beside.is_file() else super().card_digest()


def _short_digest(place: Path) -> str:
    return hashlib.sha256(str(place).encode()).hexdigest()[:12]


def card_beside(file: Path) -> Path:
    """Where a card of a file lies: `net.yaml` for `net.onnx`."""
    return file.with_suffix(".yaml")


def is_path(reference: str) -> bool:
    """Whether a method is named by a path: a name has no `.`, `/` or `~`."""
    return any(mark in reference for mark in "./~\\")


def is_named_by_path(reference: str) -> bool:
    """Whether a method is named by a path, or by an opener and a path."""
    return is_path(_opener_and_path(reference)[1])


def _opener_and_path(reference: str) -> tuple[str, str]:
    """`opener@path` in two; the first is empty for a name or a path, which may have an `@` of its own."""
    opener, at, path = reference.partition("@")
    if not at or is_path(opener) or _exists(reference):
        return "", reference
    return opener, path


def _exists(text: str) -> bool:
    return is_path(text) and Path(text).expanduser().exists()


def split_method(text: str) -> tuple[str, str | None, str | None]:
    """`name[:variant][@weights]` into its three parts; the name may be a path, or `opener@path`.

    Raises:
        UsageError: another form.
    """
    if _exists(text):
        return text, None, None
    head = text.partition("@")[0].partition(":")[0]
    opener = plugins("methods").get(head) if "@" in text else None
    if opener and isinstance(opener.card, MethodCard) and opener.card.opens:
        name, rest = _longest_path(text.partition("@")[2])
        name = f"{head}@{name}"
    elif is_path(head) or (head not in plugins("methods") and _exists(_longest_path(text)[0])):
        name, rest = _longest_path(text)
    else:
        name, rest = head, text[len(head) :]
    middle, at, weights = rest.partition("@")
    variant = middle.removeprefix(":")
    if not name or name.endswith("@") or (middle and not variant) or (at and not weights):
        raise UsageError(f"{text!r} is no method. Write name, name:variant or name:variant@weights.")
    return name, variant or None, weights or None


def _longest_path(text: str) -> tuple[str, str]:
    """The longest beginning of `PATH[:variant][@weights]` that is a path that exists, and the rest."""
    ends = [len(text), *(i for i in range(len(text) - 1, 0, -1) if text[i] in ":@")]
    for end in ends:
        if Path(text[:end]).expanduser().exists():
            return text[:end], text[end:]
    return text[: min(ends)], text[min(ends) :]


def absolute(text: str) -> str:
    """A method of a request, its path made absolute where it is named by one."""
    name, variant, weights = split_method(text)
    opener, path = _opener_and_path(name)
    if not (opener or is_path(name)):
        return text
    at = "@" if opener else ""
    return f"{opener}{at}{_place(path)}{f':{variant}' if variant else ''}{f'@{weights}' if weights else ''}"


def short(text: str) -> str:
    """A method of a request for the name of a folder: of a path its last part alone."""
    name, variant, weights = split_method(text)
    last = Path(_opener_and_path(name)[1]).name if is_path(name) else name
    return "".join((last, f":{variant}" if variant else "", f"@{weights}" if weights else ""))


def _place(path: str) -> Path:
    return Path(path).expanduser().absolute()


def find_method(reference: str) -> Plugin:
    """A method by its name, by a path, or by `opener@path`.

    Raises:
        UsageError: unknown name, or a file that is no method; what would be one is said.
        MissingError: nothing lies at that path.
        CardError: its card is broken.
    """
    if given := given_method(reference):
        return _unique(given)
    opener, path = _opener_and_path(reference)
    if not (opener or is_path(reference)):
        return plugin("methods", reference)
    place = _place(path)
    if opener:
        return _unique(_opened(_existing(place), opener))
    if _existing(place).is_dir():
        return _unique(_folder(place))
    if place.suffix == ".py":
        card = read_single_file(place)
        return _unique(FoundFile("methods", card.name, place.parent, card, file=place))
    return _unique(_opened(place, _opener_of(place)))


def _existing(place: Path) -> Path:
    if place.exists():
        return place
    beside = [p.name for p in place.parent.iterdir()] if place.parent.is_dir() else []
    near = difflib.get_close_matches(place.name, beside, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise MissingError(f"{place}: no such file or folder, to take a method from.{hint}")


def _folder(place: Path) -> Plugin:
    if not (place / "card.yaml").is_file():
        raise UsageError(
            f"{place}: not a method folder: card.yaml is missing ('deblurbench new method' writes one). "
            "Restored frames of somebody else are scored by 'deblurbench score'."
        )
    card = read_card(place / "card.yaml", MethodCard)
    return FoundFolder("methods", card.name, place, card)


def _openers() -> dict[str, list[str]]:
    """Names of the methods that open files, by suffix."""
    openers: dict[str, list[str]] = {}
    for name, opener in plugins("methods").items():
        for suffix in opener.card.opens if isinstance(opener.card, MethodCard) else ():
            openers.setdefault(suffix, []).append(name)
    return openers


def _opener_of(file: Path) -> str:
    openers = _openers()
    names = openers.get(file.suffix.lower(), [])
    if len(names) == 1:
        return names[0]
    if names:
        raise UsageError(f"{file}: several methods open {file.suffix} files; say which: {names[0]}@{file.name}, ...")
    kinds = ", ".join(f"{suffix} ({', '.join(names)})" for suffix, names in sorted(openers.items()))
    raise UsageError(
        f"{file}: no kind of file that is a method. These are: .py, a folder with card.yaml, {kinds}. "
        f"Weights of a method follow its name: NAME@{file.name}."
    )


def _opened(file: Path, opener: str) -> Plugin:
    """The method that `opener` makes of a file, with what the card beside the file says."""
    maker = plugin("methods", opener)
    card = maker.card
    assert isinstance(card, MethodCard)
    if not file.is_file():
        raise UsageError(f"{file}: a folder; {opener} opens a file ({', '.join(card.opens)})")
    beside = read_raw_card(card_beside(file)) if card_beside(file).is_file() else {}
    for key in [key for key in HARNESS_KEYS if key in beside]:
        raise CardError(f"{card_beside(file)}: {key} is not for a card beside a file; {opener!r} says it for the file")
    raw: dict[str, Any] = {
        "name": method_name(file), "title": f"{file.name} through {opener}", "licence": "unstated", **beside,
        "entry": card.entry, "opens": card.opens, "requires": card.requires, "install": card.install,
    }  # fmt: skip
    needs = beside.get("needs", {})
    if isinstance(needs, dict):
        raw["needs"] = _needs(card, needs)
        form = raw["needs"].get("form", "frame")
        raw.setdefault("kind", {"frame": "image", "clip": "video"}.get(str(form), form))
    made = make_card(raw, card_beside(file) if beside else file, MethodCard)
    return OpenedFile("methods", made.name, maker.folder, made, opened=file, opener=opener)


def _needs(card: MethodCard, beside: dict[str, Any]) -> dict[str, Any]:
    """The opener's needs, and over them those of the card beside the file, whose form decides what is causal."""
    needs = card.needs.model_dump(exclude_unset=True)
    if "window" in beside:
        needs |= {"form": "window", "causal": False} if beside["window"] else {"form": "frame", "causal": True}
    elif "form" in beside:
        needs |= {"causal": beside["form"] != "clip"}
    return needs | beside


def _unique(method: Plugin) -> Plugin:
    """Refuse a method from outside that is called as one of the registry, which it is not."""
    known = plugins("methods").get(method.name)
    if known is None:
        return method
    if isinstance(method, FoundFolder) and known.folder.resolve() == method.folder.resolve():
        return known
    raise UsageError(
        f"{method.reference}: would be called {method.name!r}, as the method in {known.folder} is. Rename it, or "
        "give its card another `name`."
    )
