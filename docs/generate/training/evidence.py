"""Turn trained folders and stored runs into docs/evidence/: `python -m docs.generate.training.evidence --help`.

    python -m docs.generate.training.evidence log runs/train-C2H3 --tag ours
    python -m docs.generate.training.evidence results runs/mini runs/gopro runs/reds
    python -m docs.generate.training.evidence comparison runs/claims-mini runs/claims/*

See `docs/generate/training/page.py` for the whole way from a training to docs/training.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from deblurbench.errors import DeblurbenchError, MissingError, UsageError
from deblurbench.methods.weights.files import read_story
from deblurbench.provenance import file_sha256
from deblurbench.registry.cards import IDENTITY, MethodCard
from deblurbench.registry.discovery import plugins
from deblurbench.results.run import Run
from deblurbench.training.log import FILE, read_log
from docs.generate.training import stored
from docs.generate.training.gains import results_of_today
from docs.generate.training.shipped import shipped as weights_that_ship

TOLD = ("resolved", "settings", "steps", "hours", "seed", "device", "threads", "data", "trained_on", "commit",
        "started_from", "minutes_asked", "compute_share", "data_share", "validation")  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--folder", type=click.Path(path_type=Path), default=stored.FOLDER, hidden=True)
@click.pass_context
def evidence(context: click.Context, folder: Path) -> None:
    """Write the files that docs/training.md is made of."""
    context.obj = folder


@evidence.command()
@click.argument("trainings", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--tag", default="ours", show_default=True, help="The tag under which the card ships these weights.")
@click.pass_obj
def log(folder: Path, trainings: tuple[Path, ...], tag: str) -> None:
    """Keep the thinned log and the story of TRAININGS, whose weights ship."""
    stories = stored.read_json(folder / stored.TRAININGS, {})
    for training in trainings:
        told = story_of(training)
        name = stored.weights_name(told["method"], told["variant"], tag)
        rows = stored.thinned(read_log(training / FILE))
        stored.write_curve(rows, folder / f"{name}.csv")
        stories[name] = {key: told[key] for key in TOLD if told.get(key) not in (None, [])}
        click.echo(f"{name}: {len(rows)} lines")
    stored.write_json(stories, folder / stored.TRAININGS)


@evidence.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--add", is_flag=True, help="Also keep the stored results of weights that still ship.")
@click.pass_obj
def results(folder: Path, runs: tuple[Path, ...], add: bool) -> None:
    """Keep the clip means of the shipped weights in RUNS; what was kept before is replaced.

    Runs of the same frames become one table.
    """
    ships = shipped()
    kept = results_of_today(folder, weights_that_ship()) if add else []
    for run in map(Run.open, runs):
        names = {IDENTITY: IDENTITY}
        for method in run.manifest.methods:
            if method.weights_sha256 in ships:
                names[method.id] = ships[method.weights_sha256]
            elif method.id != IDENTITY:
                click.echo(f"{run.folder}: {method.id} left out: no card ships these weights", err=True)
        kept.append(stored.scored(run, names))
        click.echo(f"{run.folder}: {kept[-1].dataset}, {', '.join(kept[-1].values)}")
    stored.write_json([asdict(one) for one in stored.joined(kept)], folder / stored.RESULTS)


@evidence.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def comparison(folder: Path, paths: tuple[Path, ...]) -> None:
    """Keep trainings on equal budgets and their scores. PATHS are trained folders, and runs that scored them.

    Runs of the same frames become one.
    """
    trainings = [trained(path) for path in paths if (path / "training.json").is_file()]
    for path in paths:
        if not any((path / name).is_file() for name in ("training.json", "run.json")):
            raise MissingError(f"{path}: neither a trained folder (training.json) nor a stored run (run.json).")
    runs = [Run.open(path) for path in paths if not (path / "training.json").is_file()]
    by_sha = {one.sha256: one.name for one in trainings}
    if len({one.name for one in trainings}) < len(trainings):
        raise UsageError("two trained folders have the same name. Rename one.")
    kept = stored.joined([stored.scored(run, _names(run, by_sha)) for run in runs])
    stored.write_comparison(stored.Comparison(trainings, kept), folder)
    for one in trainings:
        places = [run.dataset for run in kept if one.name in run.values]
        click.echo(f"{one.name}: {one.method}:{one.variant}, seed {one.seed}, {one.steps} steps, scored on "
                   f"{', '.join(places) or 'nothing'}")  # fmt: skip


def _names(run: Run, by_sha: dict[str, str]) -> dict[str, str]:
    found = {m.id: by_sha[m.weights_sha256] for m in run.manifest.methods if m.weights_sha256 in by_sha}
    return {**({IDENTITY: IDENTITY} if any(m.id == IDENTITY for m in run.manifest.methods) else {}), **found}


def shipped() -> dict[str | None, str]:
    """The names of all weights that the cards ship, by sha256."""
    return {
        w.sha256: stored.weights_name(card.name, w.variant, w.tag)
        for card in (p.card for p in plugins("methods").values())
        if isinstance(card, MethodCard)
        for w in card.weights
    }


def story_of(training: Path) -> dict[str, Any]:
    """The training.json of a trained folder.

    Raises:
        MissingError: there is none, or no log beside it.
    """
    told = read_story(training)
    if not told or not (training / FILE).is_file():
        raise MissingError(f"{training}: no trained folder (training.json and {FILE} are needed).")
    return told


def trained(training: Path) -> stored.Trained:
    """A trained folder as a part of a comparison. Its name is the folder's.

    Raises:
        MissingError: training.json, log or weights are missing.
    """
    told = story_of(training)
    steps = [row["step"] for row in read_log(training / FILE)]
    return stored.Trained(
        name=training.resolve().name, steps=max(steps, default=0), chosen=told["steps"],
        sha256=file_sha256(training / "weights.safetensors"), minutes_asked=told.get("minutes_asked"),
        started_from=told.get("started_from"),
        **{key: told[key] for key in ("method", "variant", "seed", "hours", "device", "data", "commit", "resolved")},
    )  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        evidence.main(words, prog_name="python -m docs.generate.training.evidence", standalone_mode=False)
    except DeblurbenchError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
