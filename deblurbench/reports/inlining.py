"""A report page as one file to mail: every style, script, picture and video inside it, as data: addresses.

Pictures and films go in as previews with loss unless they are asked for as they are: without loss they take most of the
bytes.

The page's Content-Security-Policy names the sha256 of each style and script instead of 'self': nothing else runs, and
nothing is loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path

from deblurbench.errors import MissingError
from deblurbench.frames.files import write_atomically
from deblurbench.reports import previews

TYPES = {
    ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".webp": "image/webp", ".png": "image/png",
    ".webm": "video/webm", ".mp4": "video/mp4",
}  # fmt: skip
_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">')
_SCRIPT = re.compile(r'<script src="([^"]+)"></script>')
_LOADED = re.compile(r'(\s(?:src|srcset|poster))="([^"]+)"')
_POLICY = re.compile(r'(<meta http-equiv="Content-Security-Policy" content=")([^"]*)(">)')


def inline(page: Path, target: Path, exact: bool = True) -> int:
    """Write `page`, an HTML file beside its parts, as one file; returns its size in bytes. Same parts, same bytes.

    Without `exact` pictures and films are previews, and the page says so.

    Raises:
        MissingError: a part that the page names is not there.
        DiskError: the target cannot be written.
    """
    data = inlined(page, exact)
    write_atomically(target, data)
    return len(data)


def exact_size(page: Path) -> int:
    """Bytes that the page takes as one file with pictures and films as they are, near enough."""
    folder, text = page.parent, page.read_text(encoding="utf-8")
    names = {html.unescape(reference[2]) for reference in _LOADED.finditer(_guarded(text))}
    files = [folder / name for name in names if Path(name).suffix in TYPES and not name.startswith("data:")]
    return len(text) + sum(4 * file.stat().st_size // 3 for file in files if file.is_file())


def inlined(page: Path, exact: bool = True) -> bytes:
    """The page as one file.

    Raises:
        MissingError: a part that the page names is not there.
    """
    folder, text = page.parent, page.read_text(encoding="utf-8")
    digests: dict[str, list[str]] = {"style-src": [], "script-src": []}

    def style(reference: re.Match[str]) -> str:
        content = _text(folder, reference[1])
        digests["style-src"].append(_digest(content))
        return f"<style>{content}</style>"

    def script(reference: re.Match[str]) -> str:
        content = _text(folder, reference[1]).replace("</script", "<\\/script").replace("<!--", "<\\!--")
        digests["script-src"].append(_digest(content))
        return f"<script>{content}</script>"

    text = _LOADED.sub(lambda reference: f'{reference[1]}="{_address(folder, reference[2], exact)}"', _guarded(text))
    if not exact:
        text = text.replace('data-exact="true"', 'data-exact="false"').replace("<html ", "<html data-previews ", 1)
    text = _SCRIPT.sub(script, _STYLE.sub(style, text.replace(_GUARD, "<script src=")))
    text = _POLICY.sub(lambda reference: reference[1] + _policy(reference[2], digests) + reference[3], text, count=1)
    return text.encode()


_GUARD = "<script\0src="


def _guarded(text: str) -> str:
    """Scripts go in as text: their addresses are kept from becoming data:."""
    return text.replace("<script src=", _GUARD)


def _policy(policy: str, digests: dict[str, list[str]]) -> str:
    """The policy with hashes for 'self' where text is inline, and data: where files were."""
    rules = []
    for rule in policy.split(";"):
        name, *values = rule.split()
        if "'self'" in values:
            own = digests.get(name, ["data:"])
            values = list(dict.fromkeys([*own, *[value for value in values if value != "'self'"]]))
        rules.append(" ".join([name, *values]))
    return "; ".join(rules)


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _address(folder: Path, name: str, exact: bool) -> str:
    """A file as a data: address; what is one already, or names no file, stays."""
    plain = html.unescape(name)
    kind = TYPES.get(Path(plain).suffix)
    if plain.startswith("data:") or kind is None:
        return name
    data = _bytes(folder, plain)
    if not exact and kind in ("image/webp", "video/webm"):
        data = previews.picture(data) if kind == "image/webp" else previews.film(data)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _text(folder: Path, name: str) -> str:
    return _bytes(folder, html.unescape(name)).decode("utf-8").replace("\r\n", "\n")  # as the browser hashes it


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise MissingError(
            f"{folder / name}: the report names it, and it is not there. Build the report anew: deblurbench report RUN."
        ) from None
