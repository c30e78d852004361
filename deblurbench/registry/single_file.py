"""A method in a single Python file: its class and its card, read without importing it.

The file holds one class that derives from one of the four forms of `deblurbench.methods.base`. A card is optional: a
literal `CARD = {...}`, or YAML in the module's docstring below a line `---`. What it leaves out is filled in: the name
from the file's, the title from the docstring's first line, the licence as "unstated", the window from `radius = N`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from deblurbench.errors import CardError, UsageError
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.documents import SOURCE_BYTES, DocumentError, plain, read_bytes
from deblurbench.registry.read_card import make_card, parse_card
from deblurbench.text import did_you_mean

FORMS: dict[str, dict[str, Any]] = {
    "Method": {"kind": "video", "needs": {"causal": False}},
    "FrameMethod": {"kind": "image", "needs": {"causal": True}},
    "WindowMethod": {"kind": "window", "needs": {"window": 2, "causal": False}},
    "RecurrentMethod": {"kind": "recurrent", "needs": {"causal": True}},
}
"""What a class's form says of the method, where its card does not."""
BASE = "deblurbench.methods.base"
EXAMPLE = f"from {BASE} import FrameMethod, then class Mine(FrameMethod) with restore_frame(self, frame)"


def method_name(file: Path) -> str:
    """A file's or folder's name as a method's name: small letters, digits, `-` and `_`."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", (file.stem if file.suffix else file.name).lower()).strip("-_")
    return plain or "method"


def module_name(file: Path) -> str:
    """A file's name as the name of a Python module."""
    plain = re.sub(r"\W", "_", file.stem)
    return plain if plain.isidentifier() else f"_{plain}"


def read_single_file(file: Path) -> MethodCard:
    """The card of the one method in a Python file.

    Raises:
        UsageError: not readable, no Python, no method in it, or several and none chosen.
        CardError: its card is no literal or does not fit.
    """
    tree = _parse(file)
    card = _card_of(tree, file)
    classes = _methods_of(tree)
    name = _choose(classes, card.pop("entry", None), file)
    form = FORMS[classes[name]]
    docstring = (ast.get_docstring(tree) or "").partition("\n---")[0].strip()
    raw = {
        "name": method_name(file),
        "title": docstring.partition("\n")[0].rstrip(".") or file.name,
        "licence": "unstated",
        **form,
        **card,
        "entry": f"{module_name(file)}:{name}",
    }
    needs = card.get("needs", {})
    if isinstance(needs, dict):
        raw["needs"] = {**form["needs"], **_radius(tree, name), **needs}
    return make_card(raw, file, MethodCard)


def own_files(file: Path) -> list[Path]:
    """A Python file and the files and packages beside it that it imports, directly or through one another."""
    files: dict[Path, None] = {file: None}
    waiting = [file]
    while waiting:
        for name in sorted(_imported(_parse(waiting.pop()))):
            beside = file.parent / f"{name}.py"
            package = file.parent / name
            more = [beside] if beside.is_file() else sorted(package.rglob("*.py")) if package.is_dir() else []
            fresh = [place for place in more if place not in files]
            files |= dict.fromkeys(fresh)
            waiting += fresh
    return list(files)


def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(read_bytes(file, SOURCE_BYTES), filename=str(file))
    except DocumentError as error:
        raise UsageError(f"{file}: {error}") from error
    except SyntaxError as error:
        raise UsageError(f"{file}: not Python that can be read: line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes; deep nesting
        raise UsageError(f"{file}: not Python that can be read: {error}") from error


def _imported(tree: ast.Module) -> set[str]:
    """The first words of all modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {(node.module or "").partition(".")[0]} - {""}
    return names


def _card_of(tree: ast.Module, file: Path) -> dict[str, Any]:
    literal = [node.value for node in tree.body if isinstance(node, ast.Assign) and _is_card(node)]
    _, line, text = (ast.get_docstring(tree) or "").partition("\n---\n")
    if literal and line:
        raise CardError(f"{file}: a card in CARD and another one in the docstring; keep one of them")
    if line:
        return parse_card(text, file)
    if not literal:
        return {}
    try:
        card = plain(ast.literal_eval(literal[-1]))
    except DocumentError as error:
        raise CardError(f"{file}: CARD: {error}") from error
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        raise CardError(
            f"{file}: line {literal[-1].lineno}: CARD is read without importing the file, so it must be a literal: "
            "a dict of text, numbers, lists and dicts, without calls or names"
        ) from error
    if not isinstance(card, dict):
        raise CardError(f"{file}: CARD is a dict of a card's keys, found {type(card).__name__}")
    return card


def _is_card(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "CARD" for target in node.targets)


def _methods_of(tree: ast.Module) -> dict[str, str]:
    """The file's classes that derive from a form, with the form; those that others derive from are left out."""
    names = {form: form for form in FORMS}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deblurbench"):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
    forms: dict[str, str] = {}
    derived_from: set[str] = set()
    for node in tree.body:
        for base in node.bases if isinstance(node, ast.ClassDef) else ():
            word = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
            form = forms.get(word) or names.get(word, "")
            if isinstance(node, ast.ClassDef) and form in FORMS:
                forms[node.name] = form
                derived_from.add(word)
    return {name: form for name, form in forms.items() if name not in derived_from}


def _choose(classes: dict[str, str], entry: Any, file: Path) -> str:
    if not classes:
        raise UsageError(
            f"{file}: no method in it: no class derives from {', '.join(FORMS)} of {BASE}. Write: {EXAMPLE}."
        )
    if entry is not None:
        name = str(entry).rpartition(":")[2]
        if name not in classes:
            raise CardError(f"{file}: its card's entry names {name!r}. {did_you_mean(name, classes)}")
        return name
    if len(classes) > 1:
        raise UsageError(
            f"{file}: {len(classes)} methods in one file: {', '.join(classes)}. Choose by its card, "
            f"CARD = {{'entry': '{next(iter(classes))}'}}, or give each a file of its own."
        )
    return next(iter(classes))


def _radius(tree: ast.Module, name: str) -> dict[str, int]:
    """`radius = N` in the class, as the window that the card tells."""
    for node in tree.body:
        for line in node.body if isinstance(node, ast.ClassDef) and node.name == name else ():
            targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
            value = getattr(line, "value", None)
            if any(isinstance(target, ast.Name) and target.id == "radius" for target in targets):
                if isinstance(value, ast.Constant) and isinstance(value.value, int):
                    return {"window": value.value}
    return {}
