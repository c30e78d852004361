"""Video files as sequences of frames, decoded one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from deblurbench.errors import FrameError
from deblurbench.frames import images
from deblurbench.frames.convert import Frame8
from deblurbench.frames.sniff import sniffed_kind
from deblurbench.frames.video_stream import decoded_frames, film_of, matrix_of, open_video, to_rgb, turn_of
from deblurbench.text import counted

SUFFIXES = (
    ".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".3gp", ".wmv", ".flv",
    ".ogv", ".gif", ".h264", ".h265", ".hevc",
)  # fmt: skip
"""Names that promise a video: a file that has one and cannot be read as a video is damaged, and not passed over."""
AUDIO = (".m4a", ".m4b", ".mka", ".ogg", ".oga", ".opus", ".wma", ".aac", ".mp3")
LOSSLESS = (".mkv", ".avi")
BT709, LIMITED, FULL = 1, 1, 2
"""FFmpeg's numbers of a colour matrix (also of primaries and of a transfer) and of two ranges."""
DEFAULT_RATE = 25
"""Frames a second of what does not say."""


def is_video(path: Path) -> bool:
    """Whether a path is a file that begins as a video does, or is named as one; suffixes of images and sound count."""
    suffix = path.suffix.lower()
    if path.name.startswith(".") or suffix in (*images.SUFFIXES, *AUDIO) or not path.is_file():
        return False
    return suffix in SUFFIXES or bool(sniffed_kind(path))


@dataclass(frozen=True)
class VideoInfo:
    """What decoding a film once has shown: how many frames there are, and how they are to be seen.

    `width` and `height` are those of the upright frames, `aspect` is the width of their pixels by the height (1 where
    nothing is said), `times` the seconds at which frames are shown on the file's clock, None where it has none.
    `matrix`, `range`, `primaries` and `transfer` are FFmpeg's numbers (BT.709 of limited range for RGB, which has
    neither), `bits` is the depth of a sample, `duration` the last frame's in seconds.
    """

    count: int
    width: int
    height: int
    aspect: Fraction
    pixel_format: str
    bits: int
    matrix: int
    range: int
    primaries: int
    transfer: int
    interlaced: bool
    rate: Fraction | None
    time_base: Fraction
    times: tuple[Fraction, ...] | None
    duration: Fraction

    @property
    def is_even(self) -> bool:
        """Whether all frames are shown for equally long, to a thousandth of a second."""
        steps = [b - a for a, b in pairwise(self.times or ())]
        return not steps or max(steps) - min(steps) <= Fraction(1, 500)


def video_info(path: Path, limit: int | None = None) -> VideoInfo:
    """What a video holds, by decoding its first `limit` frames (all for None) once; it is remembered.

    Raises:
        FrameError: the file cannot be read as a video, or is damaged.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise FrameError(f"{path}: the video is missing", "missing") from error
    return _scanned(path, limit, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _scanned(path: Path, limit: int | None, size: int, changed: int) -> VideoInfo:
    """`size` and `changed` stand for the file's content in the cache."""
    with open_video(path) as container:
        stream = film_of(container, path)
        rate = stream.average_rate or stream.guessed_rate
        aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
        start = Fraction(max(container.start_time or 0, 0), 1_000_000)
    frames = _walk(path, limit)
    first = next(frames, None)
    if first is None:
        raise FrameError(f"{path}: no frame can be decoded; the video is damaged or empty")
    shown = [_Shown(frame.pts, frame.duration, bool(frame.interlaced_frame)) for frame in chain([first], frames)]
    base = Fraction(first.time_base)
    width, height = _upright_size(first)
    return VideoInfo(
        count=len(shown),
        width=width,
        height=height,
        aspect=Fraction(1 / aspect if turn_of(first).exchanged else aspect),
        pixel_format=first.format.name,
        bits=max(component.bits for component in first.format.components),
        matrix=BT709 if first.format.is_rgb else matrix_of(first),
        range=FULL if _is_full_range(first) else LIMITED,
        primaries=int(first.color_primaries),
        transfer=int(first.color_trc),
        interlaced=any(frame.interlaced for frame in shown),
        rate=Fraction(rate) if rate else None,
        time_base=base,
        times=_times([frame.pts for frame in shown], base, start),
        duration=(shown[-1].duration or 0) * base or 1 / Fraction(rate or DEFAULT_RATE),
    )


class _Shown(NamedTuple):
    """What is remembered of every frame."""

    pts: int | None
    duration: int | None
    interlaced: bool


def _walk(path: Path, limit: int | None) -> Iterator[Any]:
    """The first frames of a film; the same object may not be kept, since all of them would be.

    Raises:
        FrameError: as `decoded_frames`, or the size of the frames changes.
    """
    size = None
    for position, frame in enumerate(islice(decoded_frames(path), limit)):
        seen = _upright_size(frame)
        if size is not None and seen != size:
            raise FrameError(f"{path}: frame {position} is {seen[0]}x{seen[1]}, unlike those before", "size")
        size = seen
        yield frame


def _is_full_range(frame: Any) -> bool:
    named = int(frame.color_range) == FULL or frame.format.name.startswith("yuvj")
    return named and not frame.format.is_rgb


def _upright_size(frame: Any) -> tuple[int, int]:
    return (frame.height, frame.width) if turn_of(frame).exchanged else (frame.width, frame.height)


def _times(stamps: Sequence[int | None], base: Fraction, start: Fraction) -> tuple[Fraction, ...] | None:
    """Seconds from the file's beginning, where every frame has a time later than the one before."""
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < len(stamps) or any(b <= a for a, b in pairwise(known)):
        return None
    return tuple(max(stamp * base - start, Fraction(0)) for stamp in known)


@dataclass(frozen=True)
class VideoSource:
    """The frames of a video file's film, in display order and upright, as a FrameSource.

    Frames are 8-bit RGB (H, W, 3). Deeper formats are rounded to 8 bits by FFmpeg. A cover picture is passed over, and
    frames are turned as the file's display matrix says. Where the file does not name its colour matrix, BT.709 is taken
    from 720 lines upwards, BT.601 below. One frame is held.
    """

    path: Path
    count: int | None = None

    @property
    def info(self) -> VideoInfo:
        """What the video holds; decodes it once.

        Raises:
            FrameError: the file cannot be read as a video, or is damaged.
        """
        return video_info(self.path, self.count)

    @cached_property
    def stems(self) -> Sequence[str]:
        """`000000`, `000001`, ... for as many frames as the decoder delivers.

        Raises:
            FrameError: the file cannot be read as a video, or is damaged.
        """
        return [f"{position:06d}" for position in range(self.info.count)]

    def __iter__(self) -> Iterator[Frame8]:
        """Decode frame by frame.

        Raises:
            FrameError: the file is damaged, or has changed since it was counted.
        """
        done = 0
        for frame in islice(decoded_frames(self.path), len(self.stems)):
            yield to_rgb(frame)
            done += 1
        if done < len(self.stems):
            raise FrameError(f"{self.path}: {counted(done, 'frame')} of {len(self.stems)}: it has changed meanwhile")

    def size(self) -> tuple[int, int]:
        """(width, height) of the upright frames, in pixels."""
        return self.info.width, self.info.height

    def first(self, count: int | None) -> VideoSource:
        """The first `count` frames (all for None)."""
        return VideoSource(self.path, count)

    def fingerprint(self) -> list[tuple[str, int, int]]:
        """Name, size and modification time of the file."""
        stat = self.path.stat()
        return [(self.path.name, stat.st_size, stat.st_mtime_ns)]


def count_frames(path: Path) -> int:
    """How many frames the decoder delivers.

    Raises:
        FrameError: not a video, no video stream in it, or damaged.
    """
    return video_info(path).count


def frame_rate(path: Path) -> Fraction:
    """Mean frames per second of the film, as an exact fraction.

    Raises:
        FrameError: not a video, or its rate is unknown.
    """
    rate = video_info(path).rate
    if rate is None:
        raise FrameError(f"{path}: the video does not say how many frames a second it has", "corrupt")
    return rate
