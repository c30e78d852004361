"""What the headers of a clip's frames say before a run: its size, and why it cannot be run. Nothing is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deblurbench.datasets.base import Clip, FrameSource, ImageFiles
from deblurbench.errors import FrameError
from deblurbench.frames.images import Header, read_header
from deblurbench.frames.video import VideoSource


def clip_size(clip: Clip) -> tuple[int, int] | None:
    """(width, height) in pixels of a clip's first blurry frame, from its header; None for a clip without frames.

    Raises:
        FrameError: the header cannot be read.
    """
    source = clip.blurry
    if isinstance(source, VideoSource):
        return source.size()
    if isinstance(source, ImageFiles):
        return read_header(source.paths[0])[:2] if source.paths else None
    first = next(iter(source.first(1)), None)
    return None if first is None else (first.shape[1], first.shape[0])


def check_clip(clip: Clip, every: bool = False) -> list[str]:
    """Reasons why a clip cannot be run, by its frames' headers: unreadable, mixed sizes, blurry and sharp sizes differ.

    Nothing is decoded; at most 68 KiB of a file are read. The first fault of each side is named and how many follow, or
    `every` one.
    """
    blurry, problems = _side(clip.blurry, every)
    if clip.sharp is None:
        return problems
    sharp, more = _side(clip.sharp, every)
    problems += more
    if blurry and sharp and blurry != sharp:
        problems.append(
            f"blurry frames are {blurry[0]}x{blurry[1]} and sharp ones {sharp[0]}x{sharp[1]}; "
            "frames are never resized or cropped to fit: mend the copy"
        )
    return problems


def headers_of(paths: Sequence[Path]) -> tuple[dict[Path, Header], list[str]]:
    """The header of each file that has one, and a message for each that has not."""
    headers: dict[Path, Header] = {}
    faults: list[str] = []
    for path in paths:
        try:
            headers[path] = read_header(path)
        except FrameError as error:
            faults.append(str(error))
    return headers, faults


def _side(source: FrameSource, every: bool) -> tuple[tuple[int, int] | None, list[str]]:
    """The side's size, and its faults."""
    if isinstance(source, VideoSource):
        return _video_size(source)
    if not isinstance(source, ImageFiles):
        return None, []
    headers, faults = headers_of(source.paths)
    more = f" (and {len(faults) - 1} more such frames)" if len(faults) > 1 else ""
    problems = faults if every or not faults else [faults[0] + more]
    if not headers:
        return None, problems
    first = next(iter(headers.values()))
    odd = [path for path, header in headers.items() if header[:2] != first[:2]]
    if odd:
        other = headers[odd[0]]
        problems.append(
            f"{odd[0]}: {other.width}x{other.height} pixels, but the clip began with {first.width}x{first.height} "
            f"({len(odd)} of {len(headers)} frames differ). Single images of several sizes are no clip: run them with "
            "--dataset folder:images, or put each image into a folder of its own"
        )
    return (first.width, first.height), problems


def _video_size(source: VideoSource) -> tuple[tuple[int, int] | None, list[str]]:
    try:
        return source.size(), []
    except FrameError as error:
        return None, [str(error)]
