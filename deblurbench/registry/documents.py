"""The one reader of YAML and JSON that come from outside: cards, recipes, run.json, parts, training.json, headers.

Such a file may be cut short, edited, huge, or made to do harm: a pipe that nobody writes to, a device, aliases that
expand to billions of values, a mapping that holds itself, a date where text is meant. Whatever it is, reading ends
soon, with plain values (text, true and false, finite numbers, null, lists, mappings with text as keys) or with one
DocumentError that says what was found and what is allowed. Nothing here imports a plugin or a numerical library.
"""

from __future__ import annotations

import json
import math
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from deblurbench.errors import DeblurbenchError

CARD_BYTES = 2**20
"""The most that a card or a recipe may hold; the longest that ships has 21 kB."""
SOURCE_BYTES = 2**24
"""The most that a Python file which is a method may hold."""
JSON_BYTES = 2**28
"""The most that a JSON file may hold: run.json of 440 clips by 30 methods has some 20 MB."""
VALUES = 100_000
"""The most values that a YAML text may hold once its aliases are written out."""
DEPTH = 64
"""The deepest nesting."""
WHOLE = 2**63
"""Whole numbers lie between -WHOLE and WHOLE."""
NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no text needs, and that a terminal or a path may act on: control characters, halves of pairs."""


class DocumentError(DeblurbenchError):
    """What is wrong with a file or text, without its name, which the caller puts before it."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML in which dates are text, since no key takes a date, and 2001-99-99 is not one."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def read_bytes(path: Path, limit: int = JSON_BYTES) -> bytes:
    """The bytes of an ordinary file of at most `limit` bytes.

    Raises:
        DocumentError: a pipe, a device, a folder, too large, missing or not readable.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DocumentError("not an ordinary file")
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise DocumentError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(content) > limit:
        raise DocumentError(f"larger than {limit} bytes, the most that is read")
    return content


def read_text(path: Path, limit: int = JSON_BYTES) -> str:
    """The UTF-8 text of an ordinary file.

    Raises:
        DocumentError: as `read_bytes`, or another encoding.
    """
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 ({error.reason} at byte {error.start})") from error


def read_json(path: Path) -> Any:
    """The plain value of a JSON file.

    Raises:
        DocumentError: as `read_text` and `parse_json`.
    """
    return parse_json(read_text(path))


def parse_json(text: str | bytes) -> Any:
    """The plain value of a JSON text; numbers may be infinite or NaN, as Python writes them.

    Raises:
        DocumentError: not JSON, nested too deeply, or a number too long.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"cannot be read as JSON ({_first_line(error)})") from error


def read_yaml(path: Path) -> Any:
    """The plain value of a YAML file.

    Raises:
        DocumentError: as `read_text` and `parse_yaml`.
    """
    return parse_yaml(read_text(path, CARD_BYTES))


def parse_yaml(text: str) -> Any:
    """The plain value of a YAML text.

    Raises:
        DocumentError: not YAML, several documents, nested too deeply, too many values, or a value that is not plain.
    """
    try:
        _check_events(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _count(node, {}, ())
            value = loader.construct_document(node)
        finally:
            loader.dispose()
    except DocumentError:
        raise
    except Exception as error:  # a tag makes its value by int(), float() or date(), which may raise anything
        raise DocumentError(f"cannot be read as YAML: {_first_line(error)}") from error
    return plain(value)


def plain(value: Any, finite: bool = True) -> Any:
    """The value with tuples as lists, once it is known to be plain.

    `finite`: whether infinite numbers and NaN are refused, too; a record of scores may hold them.

    Raises:
        DocumentError: it holds something else (a date, a set, bytes), a key that is not text, a number that is not
            finite or is beyond 64 bits, a control character, too many values, or too deep a nesting; names the key.
    """
    plain_value = _plain(value, "", [VALUES], DEPTH)
    if finite:
        _refuse_infinite(plain_value, "")
    return plain_value


def _refuse_infinite(value: Any, place: str) -> None:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        _refuse_infinite(item, f"{place}.{key}")
    if isinstance(value, float) and not math.isfinite(value):
        raise DocumentError(f"{place.lstrip('.')}: {value} is not a finite number")


def _plain(value: Any, place: str, left: list[int], depth: int) -> Any:
    where = f"{place.lstrip('.')}: " if place else ""
    left[0] -= 1
    if left[0] < 0 or depth < 0:
        raise DocumentError(f"{where}more than {VALUES} values, or nested deeper than {DEPTH}")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise DocumentError(f"{where}a key is {_kind(key)}; keys are text: put it into quotes")
            _check_text(key, where)
        return {key: _plain(item, f"{place}.{key[:40]}", left, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}.{number}", left, depth - 1) for number, item in enumerate(value)]
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, int) and not -WHOLE < value < WHOLE:
        raise DocumentError(f"{where}a whole number of more than 64 bits")
    elif not isinstance(value, bool | int | float | None):
        raise DocumentError(
            f"{where}found {_kind(value)}; allowed are text, numbers, true, false, null, lists, mappings"
        )
    return value


def _kind(value: Any) -> str:
    return f"of type {type(value).__name__}"


def _check_text(text: str, where: str) -> None:
    bad = NOT_TEXT.search(text)
    if bad:
        raise DocumentError(f"{where}holds the control character U+{ord(bad[0]):04X}")


def _check_events(text: str) -> None:
    """Refuse what nests deeply, or holds too much, before anything descends into it."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if number > 2 * VALUES:
            raise DocumentError(f"more than {VALUES} values")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH:
                raise DocumentError(f"nested deeper than {DEPTH}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _count(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """How many values a node holds with its aliases written out; linear in the text, whatever they expand to."""
    if id(node) in above or len(above) > DEPTH:
        raise DocumentError(f"line {node.start_mark.line + 1}: holds itself, or nests deeper than {DEPTH}")
    if id(node) not in known:
        below = [*above, id(node)]
        total = 1
        for child in _children(node):
            total += _count(child, known, tuple(below))
        known[id(node)] = total
    if known[id(node)] > VALUES:
        raise DocumentError(f"line {node.start_mark.line + 1}: more than {VALUES} values once aliases are written out")
    return known[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _first_line(error: BaseException) -> str:
    """An error's first line, shortened: YAML's marks say where it is, not what stands there."""
    mark = getattr(error, "problem_mark", None)
    text = getattr(error, "problem", None) or str(error) or type(error).__name__
    return text.splitlines()[0][:200] + (f", line {mark.line + 1}" if mark else "")
