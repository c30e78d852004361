"""A report folder served to browsers of this machine: for folders that lie on a machine without a screen.

Only 127.0.0.1 is listened on. Videos are asked for in ranges, which Python's own handler does not know.
"""

from __future__ import annotations

import re
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from deblurbench.errors import UsageError

HOST = "127.0.0.1"
NAMES = {HOST, "localhost"}
"""The names of this machine that a browser may have asked for."""
_CHUNK = 64 * 1024
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, whole or one range of bytes; silent. Nothing outside the folder, no listings."""

    extensions_map = {  # noqa: RUF012 - as the base class declares it
        **SimpleHTTPRequestHandler.extensions_map, ".webm": "video/webm", ".webp": "image/webp",
        ".js": "text/javascript", ".csv": "text/csv", ".md": "text/markdown",
    }  # fmt: skip
    remaining: int | None = None

    def end_headers(self) -> None:
        """Add what every answer says: ranges are understood, and a rebuilt report is asked for anew."""
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def parse_request(self) -> bool:
        """Read the head of a request; refuse one that is malformed or that names another host.

        A page of another site can make a browser send requests here under that site's name (DNS rebinding).
        """
        try:
            if not super().parse_request():
                return False
            well_formed = self.path.startswith("/") and "\0" not in unquote(self.path)
        except ValueError:  # the base class lets some of its own pass, such as a bad IPv6 address
            well_formed = False
        if not well_formed:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return False
        host = self.headers.get("Host")
        if host is not None and host.rpartition(":")[0 if ":" in host else 2].lower() not in NAMES:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "this server answers to localhost only")
            return False
        return True

    def send_head(self) -> Any:
        """Open the file asked for and send the head of the answer. A link that leads out of the folder is not there."""
        self.remaining = None
        place = Path(self.translate_path(self.path))
        if not _lies_in(place, Path(self.directory)):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        requested = _RANGE.fullmatch(self.headers.get("Range", ""))
        if not requested or not place.is_file() or requested[1] == requested[2] == "":
            return super().send_head()
        size = place.stat().st_size
        first = int(requested[1]) if requested[1] else max(0, size - int(requested[2]))
        last = min(int(requested[2]), size - 1) if requested[1] and requested[2] else size - 1
        if first > last:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return self._part(place, first, last, size)

    def _part(self, place: Path, first: int, last: int, size: int) -> BinaryIO:
        file = place.open("rb")
        file.seek(first)
        self.remaining = last - first + 1
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(str(place)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(self.remaining))
        self.end_headers()
        return file

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send the file, or the range of it; a browser that leaves in the middle is no error."""
        left = self.remaining
        try:
            while left is None or left > 0:
                data = source.read(_CHUNK if left is None else min(_CHUNK, left))
                if not data:
                    return
                outputfile.write(data)
                left = None if left is None else left - len(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def list_directory(self, path: Any) -> None:
        """Folders without an index.html are not shown."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _lies_in(place: Path, folder: Path) -> bool:
    """Whether a file, with all links followed, lies in a folder."""
    try:
        return place.exists() and place.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a name that is too long, a loop of links
        return False


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of `folder` on 127.0.0.1; port 0 takes a free one. `serve_forever()` starts it.

    Raises:
        UsageError: the port is taken, or not allowed.
    """
    try:
        made = ThreadingHTTPServer((HOST, port), partial(Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"--serve {port}: cannot listen there ({reason}). Leave the port out to take a free one."
        ) from error
    made.daemon_threads = True
    return made


def address(made: ThreadingHTTPServer) -> str:
    """Where a browser finds the report."""
    return f"http://{HOST}:{made.server_address[1]}/index.html"
