"""Writing frames to a video file, as the video was that they come from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from deblurbench.errors import DiskError, FrameError, UsageError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.files import unfinished
from deblurbench.frames.video import BT709, DEFAULT_RATE, FULL, LIMITED, LOSSLESS, VideoInfo, VideoSource
from deblurbench.frames.video_copy import FORMATS, Copied, streams_left_out
from deblurbench.frames.video_stream import ACCURATE, scaler_matrix

PQ, HLG = 16, 18
_NAMES = {PQ: "PQ", HLG: "HLG"}


@dataclass(frozen=True)
class Timing:
    """When each frame is shown: the clock's unit in seconds, the stamps, and how long the last one is shown."""

    unit: Fraction
    rate: Fraction
    stamps: tuple[int, ...] = ()
    last: int = 1

    def stamp(self, position: int) -> int:
        """The time of a frame, in units."""
        return self.stamps[position] if position < len(self.stamps) else position

    def length(self, position: int) -> int:
        """How long a frame is shown, in units."""
        if position + 1 < len(self.stamps):
            return self.stamps[position + 1] - self.stamps[position]
        return self.last


def timing_of(info: VideoInfo, suffix: str) -> Timing:
    """The times of a video's frames, to be written into a file with this suffix.

    An even rate where the source has no frame times, and in .avi, which has nothing else.
    """
    rate = info.rate or Fraction(DEFAULT_RATE)
    if info.times is None or suffix == ".avi":
        return Timing(1 / rate, rate)
    unit = info.time_base
    stamps = tuple(int(time / unit + Fraction(1, 2)) for time in info.times)
    return Timing(unit, rate, stamps, max(round(info.duration / unit), 1))


def losses(source: VideoSource, suffix: str) -> list[str]:
    """What of a video its restored frames lose, and a file with this suffix (empty: a folder of PNGs), a line each.

    Raises:
        FrameError: the source cannot be read.
    """
    info = source.info
    lines = []
    if info.transfer in _NAMES:
        lines.append(f"HDR ({_NAMES[info.transfer]}): frames are restored as they are coded, without its metadata")
    if info.bits > 8:
        lines.append(f"{info.bits} bits a sample: frames are restored and written with 8")
    if info.interlaced:
        lines.append("interlaced fields: frames are restored and written whole, both fields in one")
    if info.pixel_format.startswith("yuva"):
        lines.append("transparency: frames are opaque")
    if not suffix:
        return lines
    if suffix not in LOSSLESS and info.pixel_format.startswith(("yuv422", "yuv444", "yuvj422", "yuvj444")):
        lines += [] if _odd(info) else [f"{info.pixel_format}: colours are written at half the resolution (4:2:0)"]
    if suffix in LOSSLESS and info.aspect != 1:
        lines.append(f"pixels of {info.aspect.numerator}:{info.aspect.denominator}: those of {suffix} are square")
    if suffix == ".avi" and not info.is_even:
        lines.append("uneven frame times: .avi has one rate; write .mkv or .mp4")
    return lines + streams_left_out(source.path, suffix)


def _odd(info: VideoInfo) -> bool:
    return bool(info.width % 2 or info.height % 2)


def write_video(
    path: Path, frames: Iterable[Frame8], fps: Fraction | float, quality: int = 12, like: VideoSource | None = None
) -> int:
    """Write 8-bit RGB frames (H, W, 3) of one size; the suffix chooses the codec. Returns how many were written.

    `.mkv` and `.avi` are FFV1, lossless RGB. `.mp4` and `.mov` are H.264, BT.709, constant rate factor `quality`,
    4:2:0 (4:4:4 where a side is odd: half a pixel of colour cannot be coded). Frames are encoded one at a time; the
    file appears when it is complete. `like` is the video that the frames come from: its frame times take the place of
    `fps`, and its colour matrix, range, pixel aspect, sound, subtitles, chapters and tags go into the file.

    Raises:
        UsageError: another suffix.  FrameError: a frame of another size.  DiskError: no space, no permission.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(
            f"{path}: videos are written as .mkv or .avi (lossless) or .mp4 or .mov (H.264), not {path.suffix!r}"
        )
    rate = Fraction(fps).limit_denominator(100_000)
    timing = timing_of(like.info, suffix) if like else Timing(1 / rate, rate)
    import av

    try:
        with unfinished(path) as temporary:
            done = _Encoder(temporary, path, timing, quality, like).write(frames)
            temporary.replace(path)
    except (OSError, av.FFmpegError) as error:
        raise DiskError(
            f"{path}: cannot be written ({error.strerror or error}). Free space or choose another place."
        ) from error
    return done


@dataclass
class _Encoder:
    """One film on its way into a file, with what is copied beside it."""

    place: Path
    path: Path
    timing: Timing
    quality: int
    like: VideoSource | None

    def write(self, frames: Iterable[Frame8]) -> int:
        import av

        done, stream, copied, shape = 0, None, None, (0, 0, 0)
        form = FORMATS[self.path.suffix.lower()]
        with av.open(str(self.place), "w", format=form) as container, contextlib.ExitStack() as stack:
            for frame in frames:
                if stream is None:
                    shape = frame.shape
                    stream = self._new_stream(container, shape)
                    copied = self._copied(container, stack)
                elif frame.shape != shape:
                    raise FrameError(
                        f"{self.path}: frame {done} is {frame.shape[1]}x{frame.shape[0]}, "
                        f"the first {shape[1]}x{shape[0]}",
                        "size",
                    )
                container.mux(stream.encode(self._picture(frame, stream, done)))
                if copied:
                    copied.mux_until(self.timing.stamp(done) * self.timing.unit)
                done += 1
            if stream is None:
                raise FrameError(f"{self.path}: no frame to write", "missing")
            container.mux(stream.encode())
            if copied:
                copied.mux_until(None)
        return done

    def _copied(self, container: Any, stack: contextlib.ExitStack) -> Copied | None:
        if self.like is None:
            return None
        last = self.like.info.count - 1
        end = (self.timing.stamp(last) + self.timing.length(last)) * self.timing.unit
        whole = self.like.count is None
        copied = Copied(self.like.path, container, Fraction(2**62) if whole else end)
        stack.callback(copied.close)
        return copied

    def _new_stream(self, container: Any, shape: tuple[int, ...]) -> Any:
        height, width = shape[:2]
        lossless = self.path.suffix.lower() in LOSSLESS
        stream = container.add_stream("ffv1" if lossless else "libx264", rate=self.timing.rate)
        stream.width, stream.height = width, height
        stream.time_base = self.timing.unit
        context, info = stream.codec_context, self.like and self.like.info
        context.time_base = self.timing.unit
        context.color_primaries, context.color_trc = (info.primaries, info.transfer) if info else (BT709, BT709)
        if info:
            context.sample_aspect_ratio = info.aspect
        if lossless:
            stream.pix_fmt = "bgr0"
            return stream
        stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        stream.options = {"crf": str(self.quality)}
        context.colorspace, context.color_range = (info.matrix, info.range) if info else (BT709, LIMITED)
        return stream

    def _picture(self, frame: Frame8, stream: Any, position: int) -> Any:
        import av

        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        context = stream.codec_context
        if stream.pix_fmt == "bgr0":
            picture = picture.reformat(format="bgr0")
        else:
            picture = picture.reformat(
                format=stream.pix_fmt,
                dst_colorspace=scaler_matrix(int(context.colorspace)),
                dst_color_range="JPEG" if int(context.color_range) == FULL else "MPEG",
                interpolation=ACCURATE,
            )
        picture.time_base, picture.pts = self.timing.unit, self.timing.stamp(position)
        picture.duration = self.timing.length(position)
        return picture
