"""The page as one file, and the page served: same content, nothing from outside, nothing outside."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deblurbench.errors import MissingError, UsageError
from deblurbench.reports import serving
from deblurbench.reports.inlining import inline

PAGE = """<!DOCTYPE html><head>
<meta http-equiv="Content-Security-Policy" content="@POLICY">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="one.css"></head><body title="a src=&#34;x.png&#34;">
<picture><source srcset="a b.svg"><img src="img/&amp;.png" alt=""></picture><video src="v.webm"></video>
<a href="table.csv">table</a><script src="one.js"></script></body>
""".replace(
    "@POLICY",
    "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self'; script-src 'self'",
)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    files = {
        "index.html": PAGE.encode(), "one.css": b"p { margin: 0 }\r\n", "one.js": b'let x = "</script><b>";',
        "a b.svg": b"<svg/>", "img/&.png": b"PNG", "v.webm": bytes(range(256)) * 300, "table.csv": b"a,b",
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path / "index.html"


def test_all_parts_are_inside_and_the_policy_names_them(page: Path) -> None:
    size = inline(page, page.with_name("report.html"))
    text = page.with_name("report.html").read_text()
    assert size == len(text.encode())
    for kind, data in (("image/svg+xml", b"<svg/>"), ("image/png", b"PNG"), ("video/webm", bytes(range(256)) * 300)):
        assert f'="data:{kind};base64,{base64.b64encode(data).decode()}"' in text
    policy = re.search('Content-Security-Policy" content="([^"]+)"', text)[1]
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        content = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert "'self'" not in policy and "img-src data:; media-src data:" in policy and "default-src 'none'" in policy
    assert "<\\/script><b>" in text and 'href="table.csv"' in text and 'title="a src=&#34;x.png&#34;"' in text
    inline(page, page.with_name("again.html"))
    assert page.with_name("again.html").read_bytes() == page.with_name("report.html").read_bytes()


def test_a_part_that_is_gone_is_told(page: Path) -> None:
    page.with_name("v.webm").unlink()
    with pytest.raises(MissingError, match=r"v\.webm: the report names it"):
        inline(page, page.with_name("report.html"))


@pytest.fixture
def served(page: Path) -> Iterator[int]:
    with serving.server(page.parent) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        assert serving.address(made).startswith("http://127.0.0.1:")
        yield made.server_address[1]
        made.shutdown()


def ask(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_serves_files_and_ranges(served: int) -> None:
    status, head, body = ask(served, "/index.html")
    assert status == 200 and body == PAGE.encode() and head["Accept-Ranges"] == "bytes"
    whole = bytes(range(256)) * 300
    for wanted, expected in (("0-9", whole[:10]), ("70000-", whole[70000:]), ("-5", whole[-5:]), ("0-999999", whole)):
        status, head, body = ask(served, "/v.webm", Range=f"bytes={wanted}")
        assert status == 206 and body == expected and head["Content-Type"] == "video/webm"
        assert head["Content-Range"].endswith(f"/{len(whole)}") and int(head["Content-Length"]) == len(expected)
    assert ask(served, "/v.webm", Range="bytes=999999-")[0] == 416
    assert ask(served, "/v.webm", Range="lines=1-2")[2] == whole


def test_serves_nothing_else(served: int, page: Path) -> None:
    (page.parent.parent / "secret.txt").write_text("no")
    for path in ("/img/", "/../secret.txt", "/%2e%2e/secret.txt", "/nothing"):
        assert ask(served, path)[0] == 404


def test_a_taken_port_is_told(page: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot listen there"):
            serving.server(page.parent, taken.getsockname()[1])


def test_serves_no_link_that_leads_out(served: int, page: Path) -> None:
    outside = page.parent.parent / "outside.txt"
    outside.write_text("no")
    (page.parent / "link.txt").symlink_to(outside)
    (page.parent / "inside.html").symlink_to(page)
    (page.parent / "loop").symlink_to(page.parent / "loop")
    assert ask(served, "/link.txt")[0] == ask(served, "/loop")[0] == 404
    assert ask(served, "/link.txt", Range="bytes=0-1")[0] == 404
    assert ask(served, "/inside.html")[2] == PAGE.encode()


@pytest.mark.parametrize("host", ["elsewhere.example", "elsewhere.example:80", "127.0.0.1.elsewhere.example", ""])
def test_answers_to_no_other_host(served: int, host: str) -> None:
    assert ask(served, "/index.html", Host=host)[0] == 421
    for own in (f"localhost:{served}", f"127.0.0.1:{served}", "LocalHost"):
        assert ask(served, "/index.html", Host=own)[0] == 200


@pytest.mark.parametrize(
    "request_line",
    [b"nonsense", b"GET index.html HTTP/1.1", b"GET http://[::1 HTTP/1.1", b"GET /%00 HTTP/1.1", b"GET / HTTP/x.y",
     b"GET /\xff HTTP/9.9.9", b"\xff\xfe"],
)  # fmt: skip
def test_malformed_requests_are_answered_with_400(served: int, request_line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served), timeout=10) as client:
        client.sendall(request_line + b"\r\n\r\n")
        assert b"400" in client.recv(4096)
    assert ask(served, "/" + "x" * 5000)[0] == 404
    assert ask(served, "/v.webm", Range=f"bytes={'9' * 5000}-")[0] == 200
