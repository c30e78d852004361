"""The report page: index.html with its style, scripts, plots and pictures in one folder that opens from the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from deblurbench import tables
from deblurbench.analysis.pairs import shortage
from deblurbench.frames.files import write_atomically
from deblurbench.registry.cards import IDENTITY
from deblurbench.reports.base import Options, Report
from deblurbench.results.run import Run
from deblurbench.text import pictured

from . import data, packs, palette, pictures, playback, ranks, runtime, strip, svg, view
from . import verdict as verdicts
from .shown import names

HERE = Path(__file__).resolve().parent
STYLES = ("vendor/uPlot.min.css", "palette.css", "style.css", "viewer.css", "playback.css")
SCRIPTS = (
    "data.js", "vendor/uPlot.iife.min.js", "page.js", "address.js", "album.js", "table.js", "curves.js", "restore.js",
)  # fmt: skip
VIEWER = ("vendor/img-comparison-slider.js", "pixels.js", "stage.js", "crop.js", "blind.js", "keys.js", "viewer.js")
PLAYER = ("playback.js",)
PICTURES_SHARE = 0.6  # of the budget, where there are videos beside the pictures
PLOTTED = 3


class Gallery(Report):
    """Writes index.html, its static files, runtime plots and images/. Needs neither torch nor a server."""

    def write(
        self, runs: Sequence[Run], folder: Path, *, allow_mixed: bool = False, options: Options | None = None
    ) -> list[Path]:
        """Write the page of one or several runs into `folder`; the first path returned is the one to open.

        Raises:
            UsageError: the runs cannot share a table (see `deblurbench.tables.build`).
            DiskError: the folder cannot be written.
        """
        options = options or Options()
        table = tables.build(runs, reference=options.reference, allow_mixed=allow_mixed)
        looks = palette.styles(table)
        gallery, films = _collect(table, folder, options)
        files = _static() | {"palette.css": palette.stylesheet().encode(), "data.js": data.script(table, looks, folder)}
        plotted = runtime.plotted(table)
        for theme in runtime.THEMES if plotted else ():
            files[f"runtime-{theme}.svg"] = runtime.draw(table, table.metrics[0], looks, theme)
        page = _template().render(_context(table, looks, gallery, plotted) | {"playback": films})
        files["index.html"] = pictured(page).encode()
        for name, content in files.items():
            write_atomically(folder / name, content)
        pictures.clear(folder, "images", ".webp", gallery.files)
        pictures.clear(folder, "images", ".js", gallery.packs)
        pictures.clear(folder, "videos", ".webm", films.files)
        return [folder / "index.html", *[folder / name for name in sorted(files) if name != "index.html"]]


def _collect(table: tables.ResultTable, folder: Path, options: Options) -> tuple[pictures.Gallery, playback.Playback]:
    """Pictures first; what they leave of the budget is for the videos, where frames were kept in sequence."""
    if options.gallery == "none":
        return pictures.Gallery(wanted=False), playback.Playback()
    kept = playback.sequences(table)
    gallery = pictures.collect(table, folder, options, int(options.budget * (PICTURES_SHARE if kept else 1)))
    rest = options.budget - gallery.size
    films = playback.collect(table, kept, gallery.labels, folder, rest, options.progress)
    return packs.write(gallery, folder, rest - _size(folder, films.files)), films


def _size(folder: Path, names: Sequence[str]) -> int:
    """Bytes of the files named."""
    return sum((folder / name).stat().st_size for name in names)


def _static() -> dict[str, bytes]:
    """Style sheets, scripts and the licences of those that are not ours, by their names beside the page."""
    place = HERE / "static"
    licences = [f"vendor/{file.name}" for file in sorted((place / "vendor").glob("*.LICENSE"))]
    names = [
        name for name in (*STYLES, *SCRIPTS, *VIEWER, *PLAYER, *licences) if name not in ("palette.css", "data.js")
    ]
    return {name: (place / name).read_bytes() for name in names}


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html")


def _context(
    table: tables.ResultTable, looks: dict[str, palette.Style], gallery: pictures.Gallery, plotted: bool
) -> dict[str, object]:
    plots = [_plots(table, looks, column) for column in table.metrics[:PLOTTED]]
    first = view.frame_values(table, table.metrics[0]) if table.metrics else {}
    near = verdicts.rivals(table)
    rows = view.rows(table, looks, near)
    moments = view.moments(table, gallery, looks, first)
    shots = [shot for found in moments.values() for moment in found for shot in moment.shots]
    return {
        "table": table,
        "rows": rows,
        "papers": any(row.papers for row in rows),
        "near": any(found.tied for found in near.values()),
        "unsure": shortage(len(table.clips)) if any(found.unsure for found in near.values()) else "",
        "styles": STYLES,
        "scripts": (*SCRIPTS, *VIEWER, *PLAYER) if moments else SCRIPTS,
        "sentence": _sentence(table),
        "verdict": verdicts.verdict(table, near),
        "heading": view.heading,
        "plotted": plotted,
        "devices": runtime.devices(table) if runtime.timed(table) else [],
        "plots": plots,
        "ranks": ranks.context(table, looks),
        "legend": [(row.label, svg.swatch(looks[row.label])) for row in table.rows],
        "clips": {clip.name: clip for clip in table.clips},
        "moments": moments,
        "strip": strip.strip(table, gallery, moments),
        "has_truth": any(shot.kind == "truth" for shot in shots),
        "gallery": gallery,
        "saved": table.runs[0].manifest.request.save_frames,
        "crop": pictures.CROP,
        "manifests": [run.manifest for run in table.runs],
        "facts": view.facts,
    }


def _plots(table: tables.ResultTable, looks: dict[str, palette.Style], column: tables.Column) -> dict[str, object]:
    """One metric's per-clip dots and per-frame curves."""
    by_clip = svg.by_label(view.clip_values(table, column), looks)
    by_frame = view.frame_values(table, column)
    curves = []
    for clip in table.clips:
        frames = [f for f in view.stems(clip) if any(f in values for values in by_frame[clip.name].values())]
        values = {label: [found.get(f) for f in frames] for label, found in by_frame[clip.name].items()}
        if frames:
            curves.append((clip.name, svg.curves(clip.name, frames, svg.by_label(values, looks), column)))
    names = [clip.name for clip in table.clips]
    dots = svg.dots(names, by_clip, column) if by_clip else ""
    figures = [(name, [view.show(column, one.values[n]) for one in by_clip]) for n, name in enumerate(names)]
    return {
        "column": column,
        "dots": dots,
        "curves": curves,
        "figures": figures,
        "methods": [one.label for one in by_clip],
    }


def _sentence(table: tables.ResultTable) -> str:
    manifest = table.runs[0].manifest
    others = [row.label for row in table.rows if not palette.is_reference(table, row)]
    compared = names(others) if len(others) <= 4 else f"{len(others)} methods"
    if not others:
        return f"The blurry input of {manifest.dataset_title}: {manifest.coverage}."
    has_input = any(palette.is_reference(table, row) for row in table.rows)
    against = f" with {'the blurry input' if table.reference == IDENTITY else table.reference}" if has_input else ""
    return f"A comparison of {compared}{against} on {manifest.dataset_title}: {manifest.coverage}."
