"""What an image file's bytes say before they are decoded, and why it is no frame: one policy for PNG and the others."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from deblurbench.errors import FrameError, Notice, UsageError
from deblurbench.frames.files import not_the_file

MOST_PIXELS = 64_000_000
TAIL = 4 * 1024
CONVERT = "convert them yourself, and say so"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: "grey-scale", 3: "palette", 4: "grey-scale with alpha", 6: "RGBA"}
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_TIFF = (b"II*\x00", b"MM\x00*")
_FORMATS = ("jpeg", "bmp", "tiff", "webp")
_MODES = {
    "L": "grey-scale",
    "1": "black and white",
    "P": "palette",
    "LA": "grey-scale with alpha",
    "I;16": "16-bit grey",
}
_ORIENTATION, _BITS = 0x0112, 0x0102
_BMP_DEPTH = 28
_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_ALONE = (0x01, *range(0xD0, 0xD9))
"""JPEG's markers without a length behind them."""


class Header(NamedTuple):
    """What the first bytes of a frame's file say: width and height in pixels, and the format."""

    width: int
    height: int
    format: str


def check_header(path: Path, data: bytes, whole: bool) -> Header | None:
    """What an image file is, by its bytes, or by its first ones and its last 4 KiB where they are not the `whole`.

    None: these bytes do not decide; all of them are needed.

    Raises:
        FrameError: it is no frame, cut short, or animated; `path` is for messages.
    """
    if data[:8] == _PNG:
        return _png_header(path, data, whole)
    seen = not_the_file(data[:200], "an image")
    if seen:
        raise FrameError(f"{path}: {seen}", "not-an-image")
    if data[:4] in _TIFF and not whole:  # its directory lies anywhere
        return None
    try:
        return _other_header(path, data, whole)
    except FrameError as error:
        if error.kind == "not-an-image" and not whole:  # its header lies elsewhere, or behind a long preamble
            return None
        raise


def _png_header(path: Path, data: bytes, whole: bool) -> Header | None:
    if len(data) < 33:
        raise FrameError(f"{path}: a PNG cut short after {len(data)} bytes")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    _check_pixels(path, width, height)
    if depth == 16:
        raise FrameError(f"{path}: 16 bits a channel; frames must have 8 ({CONVERT})", "depth")
    if colour in _PNG_CHANNELS:
        raise FrameError(f"{path}: {_PNG_CHANNELS[colour]}; frames must be RGB with 3 channels", "channels")
    if not whole and not data.endswith(_PNG_END):
        return None
    chunks = list(_png_chunks(data, b"IEND" if whole else b"IDAT"))
    last = chunks[-1][0] if chunks else b""
    if not whole and last != b"IDAT":
        return None
    if whole and last != b"IEND":
        raise FrameError(f"{path}: a PNG cut short (its end marker is missing); copy it again")
    _check_png_chunks(path, chunks, data)
    return Header(width, height, "png")


def _png_chunks(data: bytes, until: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the body and length of each chunk, to the first called `until`; fewer where `data` ends before."""
    place = 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        name = data[place + 4 : place + 8]
        if name != until and place + 12 + length > len(data):
            return
        yield name, place + 8, length
        if name == until:
            return
        place += 12 + length


def _check_png_chunks(path: Path, chunks: list[tuple[bytes, int, int]], data: bytes) -> None:
    for name, place, length in chunks:
        body = data[place : place + length]
        if name == b"tRNS":
            raise FrameError(f"{path}: a transparent colour (tRNS); frames must be RGB with 3 channels", "channels")
        if name == b"acTL" and int.from_bytes(body[:4], "big") > 1:
            _refuse_several(path, int.from_bytes(body[:4], "big"), "an animated PNG")
        if name == b"eXIf" and _orientation(body) != 1:
            warn_orientation(path.parent)


def _orientation(body: bytes) -> int:
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(b"Exif\0\0" + body)
        return int(exif.get(_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError, struct.error):
        return 1  # what cannot be read turns nothing


def _other_header(path: Path, data: bytes, whole: bool) -> Header | None:
    from PIL import Image, UnidentifiedImageError
    from PIL.TiffImagePlugin import TiffImageFile

    Image.MAX_IMAGE_PIXELS = None  # the one limit that counts is `_check_pixels`'s
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of what this function judges itself
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height, mode = *image.size, image.mode
            kind = (image.format or "").lower().replace("mpo", "jpeg")
            turned = kind in _FORMATS and image.getexif().get(_ORIENTATION, 1) != 1
            bits = max(image.tag_v2.get(_BITS, (8,))) if isinstance(image, TiffImageFile) else 8
            pages = 1 if kind == "jpeg" else getattr(image, "n_frames", 1)  # MPO: the first picture is the frame
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, TypeError, struct.error) as error:
        raise FrameError(
            f"{path}: not an image that can be read (it begins with {data[:16]!r})", "not-an-image"
        ) from error
    _check_pixels(path, width, height)
    if bits != 8:
        raise FrameError(f"{path}: {bits} bits a channel; frames must have 8 ({CONVERT})", "depth")
    if pages > 1:
        _refuse_several(path, pages, "a TIFF" if kind == "tiff" else f"an animated {kind.upper()}")
    if kind not in _FORMATS:
        raise FrameError(f"{path}: a {kind} file; frames are PNG, JPEG, BMP, TIFF or WebP", "not-an-image")
    _check_channels(path, kind, mode, data)
    if turned and kind == "tiff":
        raise FrameError(f"{path}: a TIFF with an orientation other than 1; store its pixels as they are to be seen")
    if turned:
        warn_orientation(path.parent)
    if kind == "jpeg" and (whole or b"\xff\xd9" not in data[-64:]):
        if not whole:
            return None
        if not _jpeg_ends(data):
            raise FrameError(f"{path}: a JPEG cut short (no end marker in {len(data)} bytes)")
    return Header(width, height, kind)


def _check_channels(path: Path, kind: str, mode: str, data: bytes) -> None:
    wide = kind == "bmp" and data[_BMP_DEPTH] == 32  # Pillow drops the fourth channel, decoders give it
    if mode != "RGB" or wide:
        what = "32 bits a pixel" if wide else _MODES.get(mode, mode)
        raise FrameError(f"{path}: {what}; frames must be RGB with 3 channels of 8 bits", "channels")


def _refuse_several(path: Path, count: int, what: str) -> Any:
    raise FrameError(
        f"{path}: {what} of {count} pictures; a frame's file holds one. Write each picture into a separate file",
        "not-an-image",
    )


def _jpeg_ends(data: bytes) -> bool:
    """Whether the first picture of a JPEG reaches its end marker; what stands behind it is not looked at."""
    place = 2
    while place + 4 <= len(data) or data[place : place + 2] == b"\xff\xd9":
        if data[place] != 0xFF:
            return False
        marker = data[place + 1]
        if marker == 0xD9:
            return True
        if marker == 0xFF or marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xDA:
            after = _AFTER_SCAN.search(data, place)
            if after is None:
                return False
            place = after.end() - 2
    return False


@cache
def warn_orientation(folder: Path) -> None:
    """Say once a folder that its frames are taken as they are stored, as both sides of a pair are."""
    warnings.warn(
        f"{folder}: frames carry an EXIF orientation; it is ignored, pixels are taken as stored", Notice, stacklevel=2
    )


def most_pixels() -> int:
    """The largest number of pixels of a frame: DEBLURBENCH_MAX_PIXELS, by default 64 million.

    Raises:
        UsageError: the variable is no whole number above 0.
    """
    text = os.environ.get("DEBLURBENCH_MAX_PIXELS", "")
    if text and not (text.isdecimal() and int(text)):
        raise UsageError(f"DEBLURBENCH_MAX_PIXELS is {text!r}; it must be a whole number of pixels, e.g. {MOST_PIXELS}")
    return int(text or MOST_PIXELS)


def _check_pixels(path: Path, width: int, height: int) -> None:
    most = most_pixels()
    if not width or not height or width * height > most:
        raise FrameError(
            f"{path}: the header says {width}x{height}; at most {most:,} pixels are read "
            "(DEBLURBENCH_MAX_PIXELS raises it)",
            "too-large",
        )
