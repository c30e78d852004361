"""Texts for people: nearest names, counts, and the order and form of names."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence

SHOWN = 4


def composed(name: str) -> str:
    """A name in composed Unicode (NFC): some systems write `é` as `e` and an accent."""
    return unicodedata.normalize("NFC", name)


def some(names: Sequence[str]) -> str:
    """The first few names and how many there are in all."""
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown}, ... ({len(names)} in all)"


NAMED = 12


"""Names that are listed beside a good match; without one all are."""


def did_you_mean(unknown: str, allowed: Iterable[str]) -> str:
    """A sentence with the nearest allowed name and a few others, or the whole list where nothing is near."""
    names = sorted(allowed)
    lowered = [name.lower() for name in names]
    near = difflib.get_close_matches(unknown.lower(), lowered, n=1, cutoff=0.6)
    if not near:
        return f"Known: {', '.join(map(_quoted, names)) or 'none'}."
    best = names[lowered.index(near[0])]
    nearest = set(difflib.get_close_matches(unknown.lower(), lowered, n=NAMED, cutoff=0.0))
    shown = [name for name in names if name.lower() in nearest][:NAMED]
    rest = f", ... ({len(names)} in all)" if len(names) > len(shown) else ""
    return f"Did you mean {best!r}? Known: {', '.join(map(_quoted, shown))}{rest}."


def _quoted(name: str) -> str:
    """A name as it stands in a list of names: in quotes where a comma or a blank would break it in two."""
    return repr(name) if "," in name or " " in name else name


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that steer a terminal or the order of its text; a line feed and a tab stay."""


def printable(text: str) -> str:
    r"""A text without control characters, each written as its escape, such as `\x1b`."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {0x7F: 0x2421}
_PICTURES |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def pictured(text: str) -> str:
    """A text whose control characters are replaced by Unicode's pictures of them, one for one; for HTML pages."""
    return text.translate(_PICTURES)


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 clip`, `2 clips`, `0 clips`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sort key under which frame 2 comes before frame 10."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]


def plain_cell(name: str) -> str:
    """A name as a cell of a table that people open: an apostrophe before what a spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in tuple("=+-@\t\r") else name
