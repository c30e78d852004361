"""What a file is by its first bytes, whatever it is called."""

from __future__ import annotations

import re
from pathlib import Path

SNIFFED = 1024
"""Bytes that are read of a file to recognise it."""

_STARTS = {
    b"\x1aE\xdf\xa3": "Matroska",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"\x00\x00\x01\xba": "MPEG",
    b"\x00\x00\x01\xb3": "MPEG",
    b"FLV\x01": "FLV",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "ASF",
    b"OggS": "Ogg",
    b"DKIF": "IVF",
    b"YUV4MPEG2 ": "Y4M",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01": "MXF",
    b".RMF": "RealMedia",
    b"\x1f\x07\x00": "DV",
}
_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_STILL = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"crx ")
_AUDIO = (b"M4A ", b"M4B ", b"M4P ")
_ANNEX_B = re.compile(rb"\x00{2,3}\x01[\x00-\x7f]")
_SYNC, _PACKETS = b"G", (188, 192, 204)


def video_kind(start: bytes) -> str:
    """The kind of video file that begins with these bytes, such as `Matroska`; empty where it is none.

    A kind that may hold sound alone (Matroska, Ogg, ASF) counts; whether there are pictures in it shows when it is
    opened. Still pictures (HEIC, AVIF) and audio files of the MP4 family do not.
    """
    if start[4:8] in _ATOMS:
        brand = start[8:12] if start[4:8] == b"ftyp" else b""
        return "" if brand in (*_STILL, *_AUDIO) else "MP4"
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return "AVI"
    if packet_length(start):
        return "MPEG-TS"
    known = next((kind for prefix, kind in _STARTS.items() if start.startswith(prefix)), "")
    return known or ("raw H.264 or HEVC" if _ANNEX_B.match(start) else "")


def sniffed_kind(path: Path) -> str:
    """`video_kind` of a file; empty where it cannot be read, which opening it says better."""
    try:
        with path.open("rb") as file:
            return video_kind(file.read(SNIFFED))
    except OSError:
        return ""


def packet_length(start: bytes) -> int:
    """Bytes between the sync bytes of a transport stream (192: with a time stamp before each packet); 0 for none."""
    for length in _PACKETS:
        begins = range(4 if length == 192 else 0, min(len(start), 3 * length + 4), length)
        if len(begins) > 1 and all(start[place : place + 1] == _SYNC for place in begins):
            return length
    return 0
