"""Whether a video file reaches as far as it says itself: a copy that broke off decodes without an error until there."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

from deblurbench.errors import FrameError
from deblurbench.frames.sniff import SNIFFED, packet_length, video_kind

_SEGMENT = b"\x18S\x80g"


def refuse_cut_short(path: Path, stream: Any) -> None:
    """See that what the container's index and sizes name lies inside the file.

    MP4, MOV and AVI by the index of the stream's packets; MP4 and MOV by the sizes of their boxes, Matroska and AVI by
    that in their header, GIF by its blocks, transport streams by whole packets. Other kinds say nothing, and end where
    they end.

    Raises:
        FrameError: the file is shorter than it says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        meant = max(_indexed(stream), _declared(file, size))
    if meant > size:
        raise FrameError(f"{path}: cut short ({size} of {meant} bytes); the video is damaged. Copy it again")


def _indexed(stream: Any) -> int:
    """Where the last packet that the index names ends, in bytes; 0 without an index."""
    return max((entry.pos + entry.size for entry in stream.index_entries), default=0)


def _declared(file: IO[bytes], size: int) -> int:
    """The bytes that a file should have by its own words; 0 where it says nothing."""
    head = file.read(SNIFFED)
    kind = video_kind(head)
    if kind == "MP4":
        return _end_of_boxes(file, size)
    if kind == "AVI":
        return 8 + int.from_bytes(head[4:8], "little")
    if kind == "MPEG-TS":
        length = packet_length(head)
        return -(-size // length) * length
    if kind == "GIF":
        file.seek(0)
        return _end_of_blocks(file.read())
    return _end_of_segment(head) if kind == "Matroska" else 0


def _end_of_boxes(file: IO[bytes], size: int) -> int:
    """Where the last box of an MP4 or MOV file ends (ISO/IEC 14496-12, 4.2); bytes that are no box end the walk."""
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8 or not head[4:8].isalnum():
            return place
        place += length
    return place


def _end_of_blocks(data: bytes) -> int:
    """Where a GIF ends (GIF89a, appendix A); more than its bytes where its trailer is missing."""
    place = 13 + _colours(data, 10)
    while place < len(data) and data[place] in (0x21, 0x2C):
        place += 2 if data[place] == 0x21 else 11 + _colours(data, place + 9)
        while place < len(data) and data[place]:
            place += 1 + data[place]
        place += 1
    return place + 1


def _colours(data: bytes, place: int) -> int:
    """Bytes of the colour table that a packed field of a GIF announces."""
    packed = data[place] if place < len(data) else 0
    return 3 * 2 ** (1 + (packed & 7)) if packed & 0x80 else 0


def _end_of_segment(head: bytes) -> int:
    """Where the segment of a Matroska file ends; 0 where it does not say, as a recording that was not ended."""
    length, begin = _vint(head, 4)
    place = begin + (length or 0)
    if head[place : place + 4] != _SEGMENT:
        return 0
    length, begin = _vint(head, place + 4)
    return 0 if length is None else begin + length


def _vint(data: bytes, place: int) -> tuple[int | None, int]:
    """EBML's number at a place, None where it says unknown, and the place behind it (RFC 8794, 4)."""
    first = data[place] if place < len(data) else 0
    width = 9 - first.bit_length()
    if width > 8:
        return None, place + 1
    value = int.from_bytes(data[place : place + width], "big") & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), place + width
