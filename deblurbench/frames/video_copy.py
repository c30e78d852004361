"""What a video file holds beside its film: sound, subtitles, chapters and tags, copied into another file.

Packets are copied as they are. Text subtitles change their wrapping where the other container has another one.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from deblurbench.frames.video_stream import ATTACHED, film_of, open_video

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi"}
"""FFmpeg's name of the container that a suffix means."""
TEXT = ("srt", "subrip", "mov_text", "webvtt", "text")
_TEXT_CODEC = {"mp4": "mov_text", "mov": "mov_text", "matroska": "srt"}
_PRIMING = Fraction(1, 10)
"""Seconds of sound before the first frame that are copied though an edit list discards them: decoders start on them."""
_STYLE = (
    b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, "
    b"Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, "
    b"MarginV, Encoding\r\nStyle: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\r\n"
    b"\r\n[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)
"""The plainest style sheet: FFmpeg's encoders of subtitles ask for one before they write a header."""


def streams_left_out(path: Path, suffix: str) -> list[str]:
    """The streams of a video that a file with this suffix cannot hold, a line each.

    Raises:
        FrameError: the file is no video that can be read.
    """
    lines = []
    with open_video(path) as container:
        film = film_of(container, path)
        for stream in container.streams:
            if stream.index != film.index and not _fits(stream, path, FORMATS[suffix]):
                lines.append(f"{_in_words(stream)} is left out")
    return lines


def _in_words(stream: Any) -> str:
    name = stream.codec_context.name if stream.codec_context else stream.metadata.get("handler_name", "").strip()
    kind = {"audio": "sound", "subtitle": "subtitles", "attachment": "attached file"}.get(stream.type, "data stream")
    if stream.type == "video":
        kind = "cover picture" if int(stream.disposition) & ATTACHED else "second video stream"
    return f"{kind} {stream.index}" + (f" ({name})" if name else "")


def _fits(stream: Any, path: Path, form: str) -> bool:
    """Whether a container of this form takes a stream of a file; tried on one in memory, with the first packet."""
    import av

    if stream.type not in ("audio", "subtitle"):
        return False
    if _is_text(stream):
        return form in _TEXT_CODEC
    try:
        with open_video(path) as source, av.open(io.BytesIO(), "w", format=form) as trial:
            added = trial.add_stream_from_template(stream)
            trial.start_encoding()
            packet = next((p for p in source.demux(source.streams[stream.index]) if p.size and p.dts is not None), None)
            if packet is not None:
                packet.stream = added
                trial.mux(packet)
    except (av.FFmpegError, ValueError):
        return False
    return True


def _is_text(stream: Any) -> bool:
    return stream.type == "subtitle" and stream.codec_context.name in TEXT


class Copied:
    """The streams of one file on their way into another one, up to the time that its film has reached.

    `start` and `end` are the seconds on the source's clock between which packets are copied.
    """

    def __init__(self, path: Path, output: Any, end: Fraction) -> None:
        self.output, self.end = output, end
        self.source = open_video(path)
        self.start = Fraction(max(self.source.start_time or 0, 0), 1_000_000)
        film, form = film_of(self.source, path), FORMATS[path_suffix(output)]
        chosen = [s for s in self.source.streams if s.index != film.index and _fits(s, path, form)]
        self.streams = {s.index: self._added(s, form) for s in chosen}
        self.packets = self._walk(chosen)
        self.next = next(self.packets, None)
        self._copy_tags(film)

    def close(self) -> None:
        """Close the source."""
        self.source.close()

    def mux_until(self, seconds: Fraction | None) -> None:
        """Write the packets that come before a time on the film's clock (all for None)."""
        while self.next is not None and (seconds is None or _seconds(self.next) < seconds):
            self.output.mux(self.next)
            self.next = next(self.packets, None)

    def _added(self, stream: Any, form: str) -> Any:
        if _is_text(stream) and stream.codec_context.name != _TEXT_CODEC[form]:
            added = self.output.add_stream(_TEXT_CODEC[form])
            added.codec_context.subtitle_header = _STYLE
        else:
            added = self.output.add_stream_from_template(stream)
        added.metadata.update({k: v for k, v in stream.metadata.items() if k in ("language", "title")})
        added.disposition = stream.disposition
        return added

    def _copy_tags(self, film: Any) -> None:
        """Creation time, title, place and the like of the file, and its chapters."""
        created = film.metadata.get("creation_time")
        tags = {**({"creation_time": created} if created else {}), **self.source.metadata}
        stale = ("encoder", "major_brand", "minor_version", "compatible_brands", "duration")
        self.output.metadata.update({k: v for k, v in tags.items() if k.lower() not in stale})
        chapters = self.source.chapters()
        if chapters:
            self.output.set_chapters(chapters)

    def _walk(self, chosen: list[Any]) -> Iterator[Any]:
        for packet in self.source.demux(chosen) if chosen else ():
            if not packet.size or packet.dts is None:
                continue
            begin = _seconds(packet) - self.start
            if begin >= self.end or (packet.is_discard and begin < -_PRIMING):
                continue
            copied = self._wrapped(packet)
            if copied is not None:
                yield copied

    def _wrapped(self, packet: Any) -> Any:
        """A packet for the output, on the film's clock; None for one that only ends a subtitle."""
        target, shift = self.streams[packet.stream_index], round(self.start / packet.time_base)
        if not _is_text(packet.stream) or target.codec_context.name == packet.stream.codec_context.name:
            packet.pts, packet.dts = (None if t is None else t - shift for t in (packet.pts, packet.dts))
            packet.stream = target
            return packet
        text = bytes(packet)
        if packet.stream.codec_context.name == "mov_text":
            text = text[2 : 2 + int.from_bytes(text[:2], "big")]
        return self._text(text, packet, target, shift) if text else None

    @staticmethod
    def _text(text: bytes, packet: Any, target: Any, shift: int) -> Any:
        import av

        copied = av.Packet(struct.pack(">H", len(text)) + text if target.codec_context.name == "mov_text" else text)
        copied.pts = copied.dts = packet.pts - shift
        copied.duration, copied.time_base, copied.stream = packet.duration, packet.time_base, target
        return copied


def path_suffix(output: Any) -> str:
    """The suffix that stands for an output container's form."""
    return next(suffix for suffix, form in FORMATS.items() if form == output.format.name)


def _seconds(packet: Any) -> Fraction:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return Fraction(stamp) * packet.time_base
