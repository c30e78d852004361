"""`deblurbench restore VIDEO`: put one method to use on a video or a folder of frames."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deblurbench.cli.options import NOTHING_KEPT
from deblurbench.cli.terminal import say
from deblurbench.datasets.base import FrameSource, ImageFiles
from deblurbench.datasets.numbering import numbering_gaps
from deblurbench.errors import INTERRUPTED, DeblurbenchError, DiskError, MissingError, UsageError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.files import resolved, unfinished
from deblurbench.frames.images import list_frames, write_png
from deblurbench.frames.video import DEFAULT_RATE, VideoSource, is_video
from deblurbench.frames.video_copy import FORMATS
from deblurbench.frames.video_write import losses, write_video
from deblurbench.text import counted, some

if TYPE_CHECKING:
    from deblurbench.evaluation.restore import Restored


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--method", "method_name", default="ifirnn", show_default=True, help="name[:variant][@weights]")
@click.option(
    "--output", type=click.Path(path_type=Path),
    help="A video file, or a folder for PNG frames; without it runs/<source>-restored(.mp4).",
)  # fmt: skip
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "tf32", "bf16", "fp16"]), default="fp32")
@click.option("--tile", type=click.IntRange(min=32), help="Restore in tiles of N pixels a side, blended.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N frames.")
@click.option("--strict", is_flag=True, help="Refuse a video of which something cannot be kept, such as HDR.")
@click.option("--one-scene", is_flag=True, help="Look for no cuts: what a method remembers goes on over all frames.")
def restore(
    source: Path, method_name: str, output: Path | None, device: str, precision: str, tile: int | None,
    limit: int | None, strict: bool, one_scene: bool,
) -> int:  # fmt: skip
    """Restore a video file or a folder of frames with one method."""
    from deblurbench.backends.device import resolve_device, set_precision_flags
    from deblurbench.backends.load import load_method
    from deblurbench.evaluation.execution.jobs import job_outside_run
    from deblurbench.evaluation.plan import plan_method
    from deblurbench.evaluation.restore import PrefetchedFrames, restored_frames, restored_scenes, with_stems
    from deblurbench.evaluation.settings import Settings

    frames = open_source(source).first(limit)
    for gap in numbering_gaps(frames.stems) if source.is_dir() else ():
        say(f"! {source}: {gap}. The frames present are restored as if they were consecutive.")
    planned = plan_method(method_name)
    place = resolve_device(device)
    target = output or _default_output(source)
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise UsageError(f"{target} exists already; name another --output.")
    _say_losses(frames, target, source, strict)
    set_precision_flags(precision)
    job = job_outside_run(planned, place, precision, tile=tile)
    settings = Settings(device=place, precision=precision, tile=tile, multiple_of=planned.needs.multiple_of)
    stems = list(frames.stems)
    cuts: list[int] = []
    alone = one_scene or planned.card.kind_of(planned.variant) in ("baseline", "image")  # these remember nothing
    try:
        with _told(planned.id, tile):
            method, _ = load_method(job, place)
        ahead = PrefetchedFrames(frames)
        if alone:
            walk = restored_frames(method, ahead, settings)
        else:
            walk = restored_scenes(method, ahead, settings, cuts.append)
        with contextlib.closing(walk):  # type: ignore[type-var]
            restored = _walked(with_stems(stems, walk), planned.id, tile)
            count = _write(target, source, frames, _counted(restored, len(stems)))
    except KeyboardInterrupt:  # `_write` leaves nothing half done
        say(NOTHING_KEPT)
        return INTERRUPTED
    if cuts:
        begins = some([stems[position] for position in cuts])
        say(f"{counted(len(cuts), 'cut')} between scenes: the method starts afresh at {begins}")
    say(f"restored {counted(count, 'frame')} with {planned.id} into {target}")
    return 0


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
    if source.is_symlink() and not source.exists():
        raise MissingError(f"{source}: a symbolic link that leads nowhere, or round in a loop")
    if not source.is_file():
        raise MissingError(f"{source}: no such video or folder")
    if not is_video(source):
        raise UsageError(f"{source}: not a video that can be read; name a video file or a folder of frames")
    return VideoSource(source)


def _say_losses(frames: FrameSource, target: Path, source: Path, strict: bool) -> None:
    """Say what of a video its result lacks, a line each; and where few players will show it.

    Raises:
        UsageError: something is lost, and the user asked for none of that.
    """
    if not isinstance(frames, VideoSource):
        return
    suffix = target.suffix.lower() if _is_film(target, source) else ""
    lines = losses(frames, suffix if suffix in FORMATS else "")
    if lines and strict:
        raise UsageError(f"{source}: not restored, since --strict refuses what is lost: {'; '.join(lines)}")
    for line in lines:
        say(f"! {source.name}: {line}")
    width, height = frames.size()
    if suffix in (".mp4", ".mov") and (width % 2 or height % 2):
        say(f"! {target.name}: {width}x{height} is odd, so it is written as 4:4:4, which some players do not show")


def _default_output(source: Path) -> Path:
    """A place below runs/: beside its source, in a dataset's folder, the result would count as a clip of it."""
    source = resolved(source)
    return Path("runs") / (f"{source.stem}-restored.mp4" if source.is_file() else f"{source.name}-restored")


def _walked(frames: Iterator[tuple[str, Restored]], method: str, tile: int | None) -> Iterator[Frame8]:
    with _told(method, tile):
        for _, restored in frames:
            yield restored.rounded.frame


@contextlib.contextmanager
def _told(method: str, tile: int | None) -> Iterator[None]:
    """Tell whatever a plugin raises in one line, as `run` does.

    Raises:
        DeblurbenchError: the method failed. Errors that name a file or an option already pass as they are.
    """
    from deblurbench.backends.failures import describe_failure, suggest_tile_size
    from deblurbench.errors import ContractError

    try:
        yield
    except ContractError as error:  # names the frame itself
        raise ContractError(f"{method}: {error}") from error
    except DeblurbenchError:
        raise
    except (Exception, SystemExit) as error:
        reason = describe_failure(error, suggest_tile_size(tile))["reason"].partition("\n")[0]
        raise DeblurbenchError(f"{method}: {reason}") from error


def _is_film(target: Path, source: Path) -> bool:
    """Whether the target is a video file, and no folder of frames."""
    return bool(target.suffix) and (source.is_file() or target.name != _default_output(source).name)


def _write(target: Path, source: Path, frames: FrameSource, restored: Iterator[Frame8]) -> int:
    """Write a video or a folder of PNGs; nothing is left of it if it fails halfway."""
    if _is_film(target, source):
        return write_video(target, restored, DEFAULT_RATE, like=frames if isinstance(frames, VideoSource) else None)
    inside = target.is_dir()  # an empty folder may be a mount, or the one that we are in: it is kept, and filled
    try:
        with unfinished(target, folder=True, inside=inside) as place:
            for stem, frame in zip(frames.stems, restored, strict=True):
                write_png(place / f"{stem}.png", frame)
            for file in sorted(place.iterdir()) if inside else ():
                file.rename(target / file.name)
            if not inside:
                place.rename(target)
    except (OSError, DiskError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else error
        raise DiskError(f"{target}: cannot be written ({reason}). Free space or choose another --output.") from error
    return len(frames.stems)


def _counted(frames: Iterator[Frame8], total: int) -> Iterator[Frame8]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(
        frames, description="restoring", total=total, console=console, transient=True, disable=not console.is_terminal
    )
