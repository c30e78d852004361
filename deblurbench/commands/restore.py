"""`deblurbench restore VIDEO`: put one method to use on a video or a folder of frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from deblurbench.datasets.base import FrameSource, ImageFiles
from deblurbench.datasets.video import VideoSource, frame_rate, is_video, write_video
from deblurbench.errors import MissingError, UsageError
from deblurbench.frames import Frame8
from deblurbench.imagefiles import list_frames, write_png
from deblurbench.terminal import say


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--method", "method_name", default="ifirnn", show_default=True, help="name[:variant][@weights]")
@click.option("--output", type=click.Path(path_type=Path), help="A video file, or a folder for PNG frames.")
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "tf32", "bf16", "fp16"]), default="fp32")
@click.option("--tile", type=click.IntRange(min=32), help="Restore in tiles of N pixels a side, blended.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N frames.")
def restore(
    source: Path, method_name: str, output: Path | None, device: str, precision: str, tile: int | None,
    limit: int | None,
) -> None:  # fmt: skip
    """Restore a video file or a folder of frames with one method."""
    from deblurbench.isolated import set_precision_flags
    from deblurbench.job import MethodJob, ready_method, resolve_device
    from deblurbench.planning import plan_method
    from deblurbench.restoring import Settings, prefetch, restored_frames

    frames = open_source(source).first(limit)
    target = output or _beside(source)
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise UsageError(f"{target} exists already; name another --output.")
    planned = plan_method(method_name)
    place = resolve_device(device)
    set_precision_flags(precision)
    job = MethodJob(
        id=planned.id, name=planned.plugin.reference, variant=planned.variant,
        weights=str(planned.weights.file) if planned.weights else None, output="", dataset="", data_root=None,
        split="", metrics=[], device=place, precision=precision, tile=tile, seed=0,
    )  # fmt: skip
    method, card = ready_method(job, place)
    settings = Settings(device=place, precision=precision, tile=tile, multiple_of=card.needs.multiple_of)
    walk = (restored.rounded.frame for restored in restored_frames(method, prefetch(frames), settings))
    count = _write(target, source, list(frames.stems), _counted(walk, len(frames.stems)))
    say(f"restored {count} frames with {planned.id} into {target}")


def open_source(source: Path) -> FrameSource:
    """A video file or a folder of frames as a source.

    Raises:
        MissingError: neither is there.
    """
    if source.is_dir():
        files = list_frames(source)
        if not files:
            raise MissingError(f"{source}: no frames in this folder (png, jpg, bmp, tif, webp)")
        return ImageFiles(tuple(files))
    if not source.is_file():
        raise MissingError(f"{source}: no such video or folder")
    if not is_video(source):
        raise UsageError(f"{source}: not a video that can be read; name a video file or a folder of frames")
    return VideoSource(source)


def _beside(source: Path) -> Path:
    source = source.resolve()
    if source.is_file():
        return source.with_name(f"{source.stem}-restored.mp4")
    return source.with_name(f"{source.name}-restored")


def _write(target: Path, source: Path, stems: list[str], frames: Iterator[Frame8]) -> int:
    if target.suffix and (source.is_file() or target.name != _beside(source).name):
        return write_video(target, frames, frame_rate(source) if source.is_file() else 25)
    for stem, frame in zip(stems, frames, strict=True):
        write_png(target / f"{stem}.png", frame)
    return len(stems)


def _counted(frames: Iterator[Frame8], total: int) -> Iterator[Frame8]:
    from rich.console import Console
    from rich.progress import track

    yield from track(frames, description="restoring", total=total, console=Console(stderr=True), transient=True)
