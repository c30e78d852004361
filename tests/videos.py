"""Small videos as users have them, made with PyAV: any container and codec, turned, cut, with sound and more."""

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tests import fakes

STYLE = "[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\nFormat: Name\r\nStyle: Default\r\n\r\n[Events]\r\n"


def smooth(count: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """Frames that lossy coding hardly changes, (H, W, 3) uint8."""
    return [cv2.GaussianBlur(frame, (0, 0), 6) for frame in fakes.make_clip("smooth", count, size).sharp]


def write(
    path: Path, frames: Sequence[np.ndarray], codec: str = "libx264", pixels: str = "yuv420p",
    times: Sequence[Fraction] | None = None, unit: Fraction = Fraction(1, 90000),
    rate: int = 25, form: str | None = None,
    sound: Sequence[str] = (), words: bool = False, options: dict[str, str] | None = None,
    tags: dict[str, str] | None = None, **context: Any,
) -> Path:  # fmt: skip
    """Write a video; `times` in seconds make it uneven, `context` sets attributes of the encoder."""
    with av.open(str(path), "w", format=form) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        if times:
            stream.codec_context.time_base = unit
        tracks = [container.add_stream(name, rate=48000) for name in sound]
        lines = container.add_stream("mov_text" if path.suffix == ".mp4" else "srt") if words else None
        if lines:
            lines.codec_context.subtitle_header = STYLE.encode()
        for position, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            if times:
                picture.time_base, picture.pts = unit, round(times[position] / unit)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        for track in tracks:
            _sound(container, track, len(frames) / rate)
        if lines:
            _words(container, lines, path.suffix == ".mp4")
    return path


def _sound(container: Any, track: Any, seconds: float) -> None:
    for block in range(math.ceil(seconds * 48000 / 960)):
        tone = (np.sin(np.arange(960) / 20 + block) * 9000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, block * 960, Fraction(1, 48000)
        container.mux(track.encode(frame))
    container.mux(track.encode())


def _words(container: Any, track: Any, boxed: bool) -> None:
    for start, text in ((40, b"one"), (120, b"two")):
        packet = av.Packet(struct.pack(">H", len(text)) + text if boxed else text)
        packet.pts = packet.dts = start
        packet.duration, packet.time_base, packet.stream = 60, Fraction(1, 1000), track
        container.mux(packet)


def patch_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Set the display matrix of an MP4's only track."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 4 + 20 + 16  # version 0: times, track, duration, reserved, layer, volume
    data[start : start + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


def patch_edit_list(path: Path, first: int, count: int, rate: int = 25) -> None:
    """Make an MP4's edit list show `count` frames from frame `first` on."""
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 12
    unit = struct.unpack(">I", data[data.index(b"mvhd") + 16 :][:4])[0]
    ticks = struct.unpack(">I", data[data.index(b"mdhd") + 16 :][:4])[0]
    begin = struct.unpack(">i", data[place + 4 :][:4])[0]
    data[place : place + 8] = struct.pack(">Ii", count * unit // rate, begin + first * ticks // rate)
    path.write_bytes(bytes(data))


def off(seen: np.ndarray, meant: np.ndarray) -> float:
    """Mean absolute difference of two frames of one size, in levels."""
    assert seen.shape == meant.shape
    return float(np.abs(seen.astype(float) - meant).mean())
