"""Video files as sequences of frames, decoded one at a time; and writing frames to a video file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from deblurbench.errors import DiskError, FrameError, UsageError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.files import create_beside
from deblurbench.text import counted

SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".mts")
LOSSLESS = (".mkv", ".avi")
HD_HEIGHT = 720
# FFmpeg's bicubic, accurate rounding, full chroma interpolation, bit-exact: its default is 1 to 2 levels too dark.
ACCURATE = 0x4 | 0x40000 | 0x2000 | 0x80000


def is_video(path: Path) -> bool:
    """Whether a path's suffix is a video's."""
    return path.suffix.lower() in SUFFIXES


@dataclass(frozen=True)
class VideoSource:
    """The frames of a video file's first video stream, in display order, as a FrameSource.

    Frames are 8-bit RGB (H, W, 3). Deeper formats are rounded to 8 bits by FFmpeg; a rotation flag is ignored. Where
    the file does not name its colour matrix, BT.709 is taken from 720 lines upwards, BT.601 below. One frame is held.
    """

    path: Path
    count: int | None = None

    @cached_property
    def stems(self) -> Sequence[str]:
        """`000000`, `000001`, ...; the frames are counted by walking the packets, without decoding.

        Raises:
            FrameError: the file cannot be read as a video.
        """
        total = count_frames(self.path) if self.count is None else min(self.count, count_frames(self.path))
        return [f"{position:06d}" for position in range(total)]

    def __iter__(self) -> Iterator[Frame8]:
        """Decode frame by frame.

        Raises:
            FrameError: the file is damaged, ends before its packets say, or changes its size.
        """
        done = 0
        size: tuple[int, ...] | None = None
        for frame in self._decoded(len(self.stems)):
            if size is not None and frame.shape != size:
                raise FrameError(
                    f"{self.path}: frame {done} is {frame.shape[1]}x{frame.shape[0]}, unlike those before", "size"
                )
            size = frame.shape
            done += 1
            yield frame
        if done < len(self.stems):
            raise FrameError(
                f"{self.path}: {counted(done, 'frame')} could be decoded of {len(self.stems)}; the video is damaged"
            )

    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, from the header."""
        with _opened(self.path) as container:
            stream = _stream(container, self.path)
            return stream.width, stream.height

    def first(self, count: int | None) -> VideoSource:
        """The first `count` frames (all for None)."""
        return VideoSource(self.path, count)

    def fingerprint(self) -> list[tuple[str, int, int]]:
        """Name, size and modification time of the file."""
        stat = self.path.stat()
        return [(self.path.name, stat.st_size, stat.st_mtime_ns)]

    def _decoded(self, limit: int) -> Iterator[Frame8]:
        import av

        try:
            with _opened(self.path) as container:
                stream = _stream(container, self.path)
                stream.thread_type = "AUTO"
                for position, frame in enumerate(container.decode(stream)):
                    if position == limit:
                        return
                    yield _rgb(frame)
        except av.FFmpegError as error:
            raise FrameError(f"{self.path}: decoding failed ({error}); the video is damaged") from error


def count_frames(path: Path) -> int:
    """How many frames the first video stream holds, by its packets.

    Raises:
        FrameError: not a video, or no video stream in it.
    """
    with _opened(path) as container:
        return sum(1 for packet in container.demux(_stream(container, path)) if packet.size)


def frame_rate(path: Path) -> Fraction:
    """Mean frames per second of the first video stream, as an exact fraction.

    Raises:
        FrameError: not a video, or its rate is unknown.
    """
    with _opened(path) as container:
        stream = _stream(container, path)
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise FrameError(f"{path}: the video does not say how many frames a second it has", "corrupt")
        return Fraction(rate)


def write_video(path: Path, frames: Iterable[Frame8], fps: Fraction | float, quality: int = 12) -> int:
    """Write 8-bit RGB frames (H, W, 3) of one size; the suffix chooses the codec. Returns how many were written.

    `.mkv` and `.avi` are FFV1, lossless RGB. `.mp4` and `.mov` are H.264, BT.709, constant rate factor `quality`,
    4:2:0 (4:4:4 where a side is odd). Frames are encoded one at a time; the file appears when it is complete.

    Raises:
        UsageError: another suffix.  FrameError: a frame of another size.  DiskError: no space, no permission.
    """
    if path.suffix.lower() not in (*LOSSLESS, ".mp4", ".mov"):
        raise UsageError(
            f"{path}: videos are written as .mkv or .avi (lossless) or .mp4 or .mov (H.264), not {path.suffix!r}"
        )
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = create_beside(path, path.suffix)
        os.close(handle)
        done = _encode(temporary, path, frames, Fraction(fps).limit_denominator(100_000), quality)
        temporary.replace(path)
    except OSError as error:
        raise DiskError(
            f"{path}: cannot be written ({error.strerror or error}). Free space or choose another place."
        ) from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)
    return done


def _encode(temporary: Path, path: Path, frames: Iterable[Frame8], fps: Fraction, quality: int) -> int:
    import av

    done, stream, shape = 0, None, (0, 0, 0)
    with av.open(str(temporary), "w") as container:
        for frame in frames:
            if stream is None:
                shape = frame.shape
                stream = _new_stream(container, path, shape, fps, quality)
            elif frame.shape != shape:
                raise FrameError(
                    f"{path}: frame {done} is {frame.shape[1]}x{frame.shape[0]}, the first {shape[1]}x{shape[0]}",
                    "size",
                )
            container.mux(stream.encode(_encodable(frame, stream)))
            done += 1
        if stream is None:
            raise FrameError(f"{path}: no frame to write", "missing")
        container.mux(stream.encode())
    return done


def _new_stream(container: Any, path: Path, shape: tuple[int, ...], fps: Fraction, quality: int) -> Any:
    from av.video.reformatter import Colorspace

    height, width = shape[:2]
    lossless = path.suffix.lower() in LOSSLESS
    stream = container.add_stream("ffv1" if lossless else "libx264", rate=fps)
    stream.width, stream.height = width, height
    if lossless:
        stream.pix_fmt = "bgr0"
        return stream
    stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
    stream.options = {"crf": str(quality)}
    context = stream.codec_context
    context.colorspace, context.color_range = int(Colorspace.ITU709), 1
    context.color_primaries, context.color_trc = 1, 1
    return stream


def _encodable(frame: Frame8, stream: Any) -> Any:
    import av

    picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
    if stream.pix_fmt == "bgr0":
        return picture.reformat(format="bgr0")
    return picture.reformat(
        format=stream.pix_fmt, dst_colorspace="ITU709", dst_color_range="MPEG", interpolation=ACCURATE
    )


def _rgb(frame: Any) -> Frame8:
    from av.video.reformatter import Colorspace

    source = None
    if not frame.format.is_rgb and int(frame.colorspace) == 2:  # 2: the file does not say
        source = Colorspace.ITU709 if frame.height >= HD_HEIGHT else Colorspace.ITU601
    array: Frame8 = frame.reformat(format="rgb24", src_colorspace=source, interpolation=ACCURATE).to_ndarray()
    return array


def _opened(path: Path) -> Any:
    import av

    if not path.is_file():
        raise FrameError(f"{path}: the video is missing", "missing")
    try:
        return av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise FrameError(f"{path}: not a video that can be read ({error})", "not-an-image") from error


def _stream(container: Any, path: Path) -> Any:
    if not container.streams.video:
        raise FrameError(f"{path}: no video stream in this file", "not-an-image")
    return container.streams.video[0]
