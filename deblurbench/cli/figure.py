"""`deblurbench figure`: figures of a stored run that go straight into a paper, without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deblurbench.cli.options import names
from deblurbench.cli.terminal import say
from deblurbench.errors import UsageError
from deblurbench.frames.files import write_atomically
from deblurbench.results.run import Run
from deblurbench.results.store import folder_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deblurbench.plots.selection import Selection

KINDS = ("strip", "runtime", "clips", "frames")
FORMATS = (".pdf", ".svg", ".png")
HEIGHTS = {"single": 2.3, "double": 3.0}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(KINDS), help="By default strip where a clip or frame is named, else runtime.")
@click.option("--clip", help="The clip of a strip, or of per-frame curves (all clips without it).")
@click.option("--frame", help="The frame of a strip, by its name; by default the middle one of those kept.")
@click.option(
    "--crop", metavar="X,Y,W,H", help="Window of a strip; by default where input and ground truth differ most."
)
@click.option("--methods", help="Only these, in this order, separated by commas; the blurry input is always there.")
@click.option("--metric", help="By default the run's first, which is psnr where it was computed.")
@click.option("--width", type=click.Choice(list(HEIGHTS)), help="3.25 or 6.875 inches; strips are double by default.")
@click.option("--output", type=click.Path(path_type=Path), help=".pdf, .svg or .png; by default RUN/figures/KIND.pdf.")
def figure(
    run: Path, kind: str | None, clip: str | None, frame: str | None, crop: str | None, methods: str | None,
    metric: str | None, width: str | None, output: Path | None,
) -> None:  # fmt: skip
    """Draw a figure of a stored run for a paper.

    strip: the crops of every method beside the whole frame. runtime: quality against seconds per frame.
    clips: every clip's value. frames: per-frame curves.
    """
    from deblurbench.plots.selection import select
    from deblurbench.plots.style import render

    kind = kind or ("strip" if clip or frame or crop else "runtime")
    width = width or ("double" if kind == "strip" else "single")
    _check(kind, clip, frame, crop, output)
    opened = Run.open(run)
    selection = select(opened, names(methods, "--methods"), metric)
    if kind == "strip":
        draw, name = _strip(selection, clip, frame, crop, width)
    else:
        draw, name = _plot(selection, kind, clip, width), f"{kind}-{clip}" if clip else kind
    file = output or run / "figures" / f"{folder_name(name)}.pdf"
    rendered = render(draw, file.suffix.lower())
    write_atomically(file, rendered.data)
    lacking = [f"the font has no sign for {sign}, a box stands in its place" for sign in rendered.lacking]
    for note in dict.fromkeys([*selection.notes, *lacking]):
        say(f"! {note}")
    say(f"  {file}")


def _check(kind: str, clip: str | None, frame: str | None, crop: str | None, output: Path | None) -> None:
    """Refuse words that this kind of figure has no use for, and unknown formats."""
    for option, given, users in (
        ("--frame", frame, ("strip",)), ("--crop", crop, ("strip",)), ("--clip", clip, ("strip", "frames"))
    ):  # fmt: skip
        if given is not None and kind not in users:
            raise UsageError(f"{option}: --kind {kind} has no use for it; it belongs to {' and '.join(users)}")
    if output and output.suffix.lower() not in FORMATS:
        suffix = repr(output.suffix) if output.suffix else "no suffix"
        raise UsageError(f"--output {output}: {suffix}; a figure is one of {', '.join(FORMATS)}")


def _strip(
    selection: Selection, clip: str | None, frame: str | None, crop: str | None, width: str
) -> tuple[Callable[[], Figure], str]:
    from deblurbench.plots.crops import parse_crop
    from deblurbench.plots.pictures import moment
    from deblurbench.plots.strip import strip
    from deblurbench.plots.style import WIDTHS

    window = parse_crop(crop) if crop is not None else None
    selected = moment(selection, clip, frame, window)
    name = f"strip-{selected.clip}-{selected.frame}"
    return lambda: strip(selected.shots, selected.whole, selected.crop, selected.caption, WIDTHS[width]), name


def _plot(selection: Selection, kind: str, clip: str | None, width: str) -> Callable[[], Figure]:
    from deblurbench.plots import clips, curves, runtime
    from deblurbench.plots.selection import clip_series, panels, points, reference_mean
    from deblurbench.plots.style import WIDTHS

    inches, heading = WIDTHS[width], selection.column.heading
    styles = selection.looks
    if kind == "runtime":
        marks, reference = points(selection), reference_mean(selection)
        higher = selection.column.higher_is_better
        size = (inches, HEIGHTS[width])
        return lambda: runtime.runtime(marks, reference, heading, styles, size, higher_is_better=higher)
    if kind == "clips":
        series = clip_series(selection)
        shown = [clip.name for clip in selection.run.manifest.clips]
        return lambda: clips.clips(shown, series, heading, styles, inches)
    drawn = panels(selection, clip)
    return lambda: curves.curves(drawn, heading, styles, inches)
