"""The report page: index.html with its style, scripts, plots and pictures in one folder that opens from the disk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from deblurbench import tables
from deblurbench.analysis.pairs import shortage
from deblurbench.frames.files import write_atomically
from deblurbench.plots.style import Look
from deblurbench.registry.cards import IDENTITY
from deblurbench.reports.base import Options, Report
from deblurbench.results.run import Run
from deblurbench.text import pictured

from . import data, drawn, fails, packs, palette, pictures, playback, ranks, runtime, strip, view
from . import verdict as verdicts
from .shown import names

HERE = Path(__file__).resolve().parent
STYLES = ("vendor/uPlot.min.css", "palette.css", "style.css", "viewer.css", "playback.css")
SCRIPTS = (
    "data.js", "vendor/uPlot.iife.min.js", "page.js", "address.js", "album.js", "table.js", "curves.js",
    "figures.js", "restore.js",
)  # fmt: skip
VIEWER = (
    "vendor/img-comparison-slider.js",
    "pixels.js",
    "stage.js",
    "crop.js",
    "blind.js",
    "keys.js",
    "film.js",
    "viewer.js",
)
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
        page = _template().render(_context(table, looks, gallery, plotted) | _films(films, looks))
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


def _films(films: playback.Playback, looks: dict[str, Look]) -> dict[str, object]:
    links = {film.clip: strip.address(film.clip, film.frames[0], film="1") for film in films.films}
    return {
        "playback": films,
        "links": links,
        "flicker": {film.clip: drawn.flicker(film, looks) for film in films.films},
    }


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
    table: tables.ResultTable, looks: dict[str, Look], gallery: pictures.Gallery, plotted: bool
) -> dict[str, object]:
    first = view.frame_values(table, table.metrics[0]) if table.metrics else {}
    near = verdicts.rivals(table)
    rows = view.rows(table, looks, near)
    moments = view.moments(table, gallery, looks, first)
    links = {clip: strip.address(clip, found[len(found) // 2].frame) for clip, found in gallery.moments.items()}
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
        "runtime": runtime.draw(table, table.metrics[0], looks) if plotted else "",
        "devices": runtime.devices(table) if runtime.timed(table) else [],
        "plots": [drawn.plot(table, looks, column, links) for column in table.metrics[:PLOTTED]],
        "fails": fails.fails(table, gallery, moments, first),
        "ranks": ranks.context(table, looks),
        "legend": [(row.label, palette.swatch(looks[row.label])) for row in table.rows],
        "reference": "the blurry input" if table.reference == IDENTITY else table.reference,
        "clips": {clip.name: clip for clip in table.clips},
        "moments": moments,
        "strip": strip.strip(table, gallery, moments),
        "has_truth": any(shot.kind == "truth" for shot in shots),
        "gallery": gallery,
        "saved": table.runs[0].manifest.request.save_frames,
        "crop": pictures.CROP,
        "manifests": [run.manifest for run in table.runs],
        "facts": partial(view.facts, table),
        "title": _title(table),
        "warnings": _warnings(table),
    }


def _title(table: tables.ResultTable) -> str:
    """The datasets; of frames in a folder the folder's name, as "folder" says nothing."""
    roots = {Path(run.manifest.data_root).name for run in table.runs if run.manifest.dataset == "folder"}
    return " + ".join(sorted(roots)) if table.title == "folder" and all(roots) and roots else table.title


def _warnings(table: tables.ResultTable) -> list[str]:
    """The table's warnings; why a method failed stands in its row, and is not said twice."""
    failures = {f"{row.label}: {row.summary.reason}": row for row in table.rows if row.summary.reason}
    lines = []
    for line in table.warnings:
        row = failures.get(line)
        lines.append(f"{row.label}: {row.summary.reason.partition(':')[0]}, see its row" if row else line)
    return lines


def _sentence(table: tables.ResultTable) -> str:
    manifest = table.runs[0].manifest
    others = [row.label for row in table.rows if not palette.is_reference(table, row)]
    compared = names(others) if len(others) <= 4 else f"{len(others)} methods"
    if not others:
        return f"The blurry input of {manifest.dataset_title}: {manifest.coverage}."
    has_input = any(palette.is_reference(table, row) for row in table.rows)
    against = f" with {'the blurry input' if table.reference == IDENTITY else table.reference}" if has_input else ""
    return f"A comparison of {compared}{against} on {manifest.dataset_title}: {manifest.coverage}."
