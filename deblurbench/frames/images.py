"""Reading and writing frame files with one strict policy.

Frames are 8-bit RGB. Anything else (grey, palette, alpha, 16 bit, an HTML page called .png, half a file) is refused
with an error that names the file, because converting it silently changes the scores. EXIF orientation is ignored; a
TIFF that has one is refused, since its decoder turns the pixels all the same.
"""

from __future__ import annotations

import os
import struct
import warnings
from functools import cache
from pathlib import Path
from typing import NamedTuple

from deblurbench.errors import DiskError, FrameError, Notice, UsageError
from deblurbench.frames.convert import Frame8, swap_red_blue
from deblurbench.frames.files import not_the_file, write_atomically
from deblurbench.text import natural_key

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MOST_PIXELS = 64_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: "grey-scale", 3: "palette", 4: "grey-scale with alpha", 6: "RGBA"}
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_HEAD, _TAIL = 64 * 1024, 4 * 1024
_TIFF = (b"II*\x00", b"MM\x00*")
_FORMATS = ("jpeg", "bmp", "tiff", "webp")
_MODES = {
    "L": "grey-scale",
    "1": "black and white",
    "P": "palette",
    "LA": "grey-scale with alpha",
    "I;16": "16-bit grey",
}
_ORIENTATION = 0x0112


class Header(NamedTuple):
    """What the first bytes of a frame's file say: width and height in pixels, and the format."""

    width: int
    height: int
    format: str


def list_frames(folder: Path) -> list[Path]:
    """Image files directly in `folder`, in natural order. Hidden files are passed over.

    Raises:
        FrameError: two files share a stem (000001.png and 000001.jpg), so that a frame would not be well defined.
    """
    files = [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith(".")]
    files.sort(key=lambda f: (natural_key(f.name), f.name))
    seen: dict[str, Path] = {}
    for file in files:
        twin = seen.setdefault(file.stem, file)
        if twin is not file:
            raise FrameError(f"{folder}: both {twin.name} and {file.name} are there; keep one of them", "corrupt")
    return files


def read_header(path: Path) -> Header:
    """Width, height and format from a file's first 64 KiB and its end, without decoding it.

    Raises:
        FrameError: as `read_frame`, as far as these bytes tell.
    """
    data = _ends(path)
    if data[:4] in _TIFF:  # its directory lies anywhere
        data = _bytes(path)
    try:
        return _check_header(path, data)
    except FrameError as error:
        if error.kind != "not-an-image" or len(data) < _HEAD:
            raise
    return _check_header(path, _bytes(path))  # a format that keeps its header elsewhere, or a long preamble


def read_frame(path: Path) -> Frame8:
    """Decode a file to 8-bit RGB (H, W, 3) uint8.

    Raises:
        FrameError: missing, empty, truncated, not an image, not 8 bits a channel, not three channels, or larger than
            DEBLURBENCH_MAX_PIXELS (64 million by default).
    """
    return decode_frame(_bytes(path), path)


def decode_frame(data: bytes, path: Path) -> Frame8:
    """Decode a file's bytes as `read_frame` does; `path` is for messages."""
    import cv2
    import numpy as np

    _check_header(path, data)
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise FrameError(f"{path}: cannot be decoded; the file is damaged or cut short ({len(data)} bytes)")
    if image.dtype != np.uint8:
        raise FrameError(f"{path}: {image.dtype} samples; frames must have 8 bits a channel", "depth")
    if image.ndim != 3 or image.shape[2] != 3:
        found = "1 (grey-scale)" if image.ndim == 2 else str(image.shape[2])
        raise FrameError(f"{path}: {found} channel(s); frames must be RGB with 3", "channels")
    return swap_red_blue(np.asarray(image, np.uint8))


def write_png(path: Path, frame: Frame8) -> None:
    """Write 8-bit RGB (H, W, 3) as PNG, atomically: a reader sees the whole file or none.

    Raises:
        DiskError: no space or no permission.
    """
    import cv2

    done, data = cv2.imencode(".png", swap_red_blue(frame))
    if not done:
        raise DiskError(f"{path}: the frame could not be encoded as PNG")
    write_atomically(path, data.tobytes())


def _bytes(path: Path) -> bytes:
    return _read(path, None)


def _ends(path: Path) -> bytes:
    return _read(path, _HEAD)


def _read(path: Path, head: int | None) -> bytes:
    """The whole file, or its first `head` bytes and its last 4 KiB."""
    try:
        with path.open("rb") as file:
            data = file.read(-1 if head is None else head)
            if head is not None and len(data) == head:
                file.seek(max(head, path.stat().st_size - _TAIL))
                data += file.read()
    except FileNotFoundError as error:
        raise FrameError(f"{path}: the frame is missing", "missing") from error
    except OSError as error:
        raise FrameError(f"{path}: cannot be read ({error.strerror})", "missing") from error
    if not data:
        raise FrameError(f"{path}: the file is empty (0 bytes); copy it again", "empty")
    return data


def _check_header(path: Path, data: bytes) -> Header:
    if data[:8] == _PNG:
        return _png_header(path, data)
    found = not_the_file(data[:200], "an image")
    if found:
        raise FrameError(f"{path}: {found}", "not-an-image")
    return _other_header(path, data)


def _png_header(path: Path, data: bytes) -> Header:
    if len(data) < 33:
        raise FrameError(f"{path}: a PNG cut short after {len(data)} bytes")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    _check_pixels(path, width, height)
    if depth == 16:
        raise FrameError(f"{path}: 16 bits a channel; frames must have 8 (convert them yourself, and say so)", "depth")
    if colour in _PNG_CHANNELS:
        raise FrameError(f"{path}: {_PNG_CHANNELS[colour]}; frames must be RGB with 3 channels", "channels")
    if _PNG_END not in data[-_TAIL:]:
        raise FrameError(f"{path}: a PNG cut short (its end marker is missing); copy it again")
    return Header(width, height, "png")


def _other_header(path: Path, data: bytes) -> Header:
    import io

    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # the one limit that counts is `_check_pixels`'s
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height, kind, mode = *image.size, (image.format or "").lower(), image.mode
            turned = kind in ("jpeg", "tiff") and image.getexif().get(_ORIENTATION, 1) != 1
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise FrameError(
            f"{path}: not an image that can be read (it begins with {data[:16]!r})", "not-an-image"
        ) from error
    _check_pixels(path, width, height)
    if kind not in _FORMATS:
        raise FrameError(f"{path}: a {kind} file; frames are PNG, JPEG, BMP, TIFF or WebP", "not-an-image")
    if mode != "RGB":
        raise FrameError(f"{path}: {_MODES.get(mode, mode)}; frames must be RGB with 3 channels of 8 bits", "channels")
    if turned and kind == "tiff":
        raise FrameError(f"{path}: a TIFF with an orientation other than 1; store its pixels as they are to be seen")
    if turned:
        _warn_orientation(path.parent)
    if kind == "jpeg" and b"\xff\xd9" not in data[-64:]:
        raise FrameError(f"{path}: a JPEG cut short (no end marker in {len(data)} bytes)")
    return Header(width, height, kind)


@cache
def _warn_orientation(folder: Path) -> None:
    """Say once a folder that its frames are taken as they are stored, as both sides of a pair are."""
    warnings.warn(
        f"{folder}: frames carry an EXIF orientation; it is ignored, pixels are taken as stored", Notice, stacklevel=2
    )


def most_pixels() -> int:
    """The largest number of pixels of a frame: DEBLURBENCH_MAX_PIXELS, by default 64 million.

    Raises:
        UsageError: the variable is no whole number above 0.
    """
    told = os.environ.get("DEBLURBENCH_MAX_PIXELS", "")
    if told and not (told.isdecimal() and int(told)):
        raise UsageError(f"DEBLURBENCH_MAX_PIXELS is {told!r}; it must be a whole number of pixels, e.g. {MOST_PIXELS}")
    return int(told or MOST_PIXELS)


def _check_pixels(path: Path, width: int, height: int) -> None:
    most = most_pixels()
    if not width or not height or width * height > most:
        raise FrameError(
            f"{path}: the header says {width}x{height}; at most {most:,} pixels are read "
            "(DEBLURBENCH_MAX_PIXELS raises it)",
            "too-large",
        )
