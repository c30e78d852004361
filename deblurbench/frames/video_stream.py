"""The one stream of a video file that is its film: choosing it, decoding it, turning its frames upright.

What the decoder delivers is what counts. A packet that an edit list discards, a frame that is coded but not shown and
what precedes the first key frame are no frames, as for any player.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from deblurbench.errors import FrameError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.sniff import sniffed_kind
from deblurbench.frames.video_whole import refuse_cut_short

ATTACHED = 0x400 | 0x800
"""FFmpeg's dispositions of a cover picture and of thumbnails."""
HD_HEIGHT = 720
# FFmpeg's bicubic, accurate rounding, full chroma interpolation, bit-exact: its default is 1 to 2 levels too dark.
ACCURATE = 0x4 | 0x40000 | 0x2000 | 0x80000
_LEAD = 300
"""Packets after which a stream without a key frame is decoded from its beginning."""


class Turn(NamedTuple):
    """How a coded frame is turned to be seen upright: sides exchanged first, then mirrored."""

    exchanged: bool = False
    upside_down: bool = False
    mirrored: bool = False


def open_video(path: Path) -> Any:
    """PyAV's container of a file.

    Raises:
        FrameError: missing, or not a video that can be read.
    """
    import av

    if not path.is_file():
        raise FrameError(f"{path}: the video is missing", "missing")
    try:
        # FFmpeg recognises a short transport stream by its suffix only
        form = "mpegts" if sniffed_kind(path) == "MPEG-TS" else None
        return av.open(str(path), format=form, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise FrameError(f"{path}: not a video that can be read ({error})", "not-an-image") from error


def film_of(container: Any, path: Path) -> Any:
    """The first video stream that is no attached picture.

    Raises:
        FrameError: there is none.
    """
    for stream in container.streams.video:
        if not int(stream.disposition) & ATTACHED and stream.codec_context is not None:
            return stream
    only = " (a cover picture only)" if container.streams.video else ""
    raise FrameError(f"{path}: no video stream in this file{only}", "not-an-image")


def decoded_frames(path: Path) -> Iterator[Any]:
    """PyAV's frames of the film, in the order in which they are shown.

    Raises:
        FrameError: the file is no video, is cut short, or the decoder refuses a packet.
    """
    import av

    done = 0
    try:
        with open_video(path) as container:
            stream = film_of(container, path)
            refuse_cut_short(path, stream)
            stream.thread_type = "AUTO"
            for packet in _from_key_frame(container.demux(stream)):
                if packet.is_corrupt and not packet.is_discard:
                    raise FrameError(f"{path}: a packet after frame {done} is cut short; the video is damaged")
                for frame in packet.decode():
                    done += 1
                    yield frame
    except av.FFmpegError as error:
        raise FrameError(f"{path}: decoding failed after {done} frames ({error}); the video is damaged") from error


def _from_key_frame(packets: Iterator[Any]) -> Iterable[Any]:
    """The packets from the first key frame on: what precedes it refers to frames that the file does not hold."""
    lead: list[Any] = []
    for packet in packets:
        if packet.is_keyframe or not packet.size:
            return itertools.chain([packet] if packet.is_keyframe else [*lead, packet], packets)
        lead.append(packet)
        if len(lead) == _LEAD:
            break
    return itertools.chain(lead, packets)


def turn_of(frame: Any) -> Turn:
    """How a decoded frame is to be turned, by its display matrix; to the nearest quarter turn."""
    from av.sidedata.sidedata import Type

    matrix = next((bytes(data) for data in frame.side_data if data.type == Type.DISPLAYMATRIX), b"")
    if len(matrix) < 36:
        return Turn()
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    if abs(b) > abs(a):
        return Turn(True, b < 0, c < 0)
    return Turn(False, d < 0, a < 0)


def upright(frame: Frame8, turn: Turn) -> Frame8:
    """A coded frame (H, W, 3) uint8 as it is to be seen, contiguous."""
    import numpy as np

    if turn == Turn():
        return frame
    turned = frame.swapaxes(0, 1) if turn.exchanged else frame
    turned = turned[::-1] if turn.upside_down else turned
    return np.ascontiguousarray(turned[:, ::-1] if turn.mirrored else turned)


def matrix_of(frame: Any) -> int:
    """FFmpeg's number of the matrix that a YUV frame is decoded with: BT.709 or BT.601 by height if not named."""
    named = int(frame.colorspace)
    if named in _MATRICES:
        return named
    return 1 if frame.height >= HD_HEIGHT else 6


_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""FFmpeg's numbers of colour matrices, and swscale's of the same."""


def scaler_matrix(matrix: int) -> int:
    """The number that swscale has for a colour matrix that `matrix_of` gives."""
    return _MATRICES[matrix]


def to_rgb(frame: Any) -> Frame8:
    """A decoded frame as 8-bit RGB (H, W, 3), upright. Deeper formats are rounded to 8 bits by FFmpeg."""
    source = None if frame.format.is_rgb else scaler_matrix(matrix_of(frame))
    array: Frame8 = frame.reformat(format="rgb24", src_colorspace=source, interpolation=ACCURATE).to_ndarray()
    return upright(array, turn_of(frame))
