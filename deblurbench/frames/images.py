"""Reading and writing frame files with one strict policy.

Frames are 8-bit RGB. Anything else (grey, palette, alpha, 16 bit, an animation, an HTML page called .png, half a file)
is refused with an error that names the file, because converting it silently changes the scores. EXIF orientation is
ignored; a TIFF that has one is refused, since its decoder turns the pixels all the same. What stands behind the end of
a PNG or JPEG (a second picture, a film) is passed over.
"""

from __future__ import annotations

from pathlib import Path

from deblurbench.errors import DiskError, FrameError
from deblurbench.frames.convert import Frame8, swap_red_blue
from deblurbench.frames.files import write_atomically
from deblurbench.frames.image_header import TAIL, Header, check_header
from deblurbench.text import natural_key

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_HEAD = 64 * 1024


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
            raise FrameError(f"{folder}: both {twin.name} and {file.name} have one stem; keep one of them", "corrupt")
    return files


def read_header(path: Path) -> Header:
    """Width, height and format from a file's first 64 KiB and its end, without decoding it.

    Raises:
        FrameError: as `read_frame`, as far as these bytes tell.
    """
    data = _ends(path)
    whole = len(data) < _HEAD
    header = check_header(path, data, whole) or check_header(path, _bytes(path), True)
    assert header is not None
    return header


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

    check_header(path, data, True)
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
        channels = "1 (grey-scale)" if image.ndim == 2 else str(image.shape[2])
        raise FrameError(f"{path}: {channels} channel(s); frames must be RGB with 3", "channels")
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
                file.seek(max(head, path.stat().st_size - TAIL))
                data += file.read()
    except FileNotFoundError as error:
        raise FrameError(f"{path}: the frame is missing", "missing") from error
    except OSError as error:
        raise FrameError(f"{path}: cannot be read ({error.strerror})", "missing") from error
    if not data:
        raise FrameError(f"{path}: the file is empty (0 bytes); copy it again", "empty")
    return data
