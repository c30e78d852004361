"""`deblurbench train` and `export`: weights from recipes, and their entry for the card."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from deblurbench.cli.options import NOTHING_KEPT, device, finite, fit_tag, resume_command
from deblurbench.cli.terminal import say
from deblurbench.errors import INTERRUPTED, MissingError, UsageError
from deblurbench.registry.by_path import find_method, split_method
from deblurbench.registry.cards import MethodCard
from deblurbench.results.store import folder_name, in_runs

EVERY = "all"


@click.command()
@click.argument("methods")
@click.option("--dataset", required=True, help="NAME[:PROTOCOL]; 'mini' and 'synth' are endless.")
@click.option("--data-root", "roots", multiple=True, type=click.Path(path_type=Path), help="May be given repeatedly.")
@click.option(
    "--recipe", help="A recipe of the method's card; by default `quick`, or what the card names for a variant."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the training, or of the trainings' folders; by default below runs/.",
)
@click.option(
    "--resume", is_flag=True, help="Go on from the checkpoint in --output; of several, begin the missing ones."
)
@device
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="Instead of the recipe's.")
@click.option("--limit-steps", type=click.IntRange(min=1), help="Stop after N steps.")
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), callback=finite,
    help="Stop after N minutes; the schedule is fitted to them.",
)  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key of the recipe.")
@click.option(
    "--start-from", type=click.Path(path_type=Path), help="Begin with these weights: a file, or a trained folder."
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads.")
def train(methods: str, dataset: str, output: Path | None, precision: str | None, resume: bool, **options: Any) -> int:
    """Train METHOD[:VARIANT] with a recipe of its card, or several in turn: METHOD:VARIANT,METHOD:VARIANT,...

    METHOD:all is every variant of its paper. Each of several has its own folder below --output; stopped at any time,
    the same command with --resume leaves those that are done and goes on with the rest.
    """
    from deblurbench.training.loop import InterruptedTraining
    from deblurbench.training.loop import train as run_training
    from deblurbench.training.recipe import TrainRequest
    from deblurbench.training.run import CHECKPOINT
    from deblurbench.training.setup import resolve

    variants = _variants(methods)
    data, _, protocol = dataset.partition(":")
    settings = list(options.pop("settings"))
    if precision:
        settings.append(f"precision={precision}")
    place = output or in_runs(f"{folder_name(methods)}-{folder_name(dataset)}", "train-")
    common: dict[str, Any] = {
        "dataset": data, "protocol": protocol or None, "settings": tuple(settings),
        "roots": tuple(options.pop("roots")), **options,
    }  # fmt: skip
    recipe = common.pop("recipe")
    requests = []
    for name, variant in variants:
        folder = place / folder_name(f"{name}:{variant}" if variant else name) if len(variants) > 1 else place
        going_on = resume and (len(variants) == 1 or (folder / CHECKPOINT).is_file())
        chosen = recipe or _usual_recipe(name, variant)
        requests.append(
            TrainRequest(method=name, variant=variant, recipe=chosen, output=folder, resume=going_on, **common)
        )
    for request in requests:  # a slip in the last is told before the first is trained
        resolve(request)
    try:
        for request in requests:
            if len(requests) > 1 and _first_process():
                say(f"training in {request.output}")
            run_training(request)
    except InterruptedTraining as error:
        return _interrupted(f"{error}", place)
    except KeyboardInterrupt:  # the second one, or outside the steps
        resumable = len(requests) > 1 or (place / CHECKPOINT).is_file()
        return _interrupted("interrupted; what was saved last is kept." if resumable else "", place)
    if _first_process():
        named = ",".join(f"{request.method}@{request.output}" for request in requests)
        say(f"trained. Try it:\n  deblurbench run --methods {named} --dataset mini")
    return 0


def _interrupted(message: str, place: Path) -> int:
    """Print what was saved and the command that resumes in `place`; the exit code."""
    if not _first_process():
        return INTERRUPTED
    if not message:
        say(NOTHING_KEPT, always=True)
        return INTERRUPTED
    words = [*sys.argv[1:], *["--resume"] * ("--resume" not in sys.argv)]
    behind = " (behind torchrun's own words and -m)" if "RANK" in os.environ else ""
    say(f"\n{message} Resume with{behind}:\n  {resume_command(words, place)}", always=True)
    return INTERRUPTED


def _variants(methods: str) -> list[tuple[str, str | None]]:
    """Names and variants of what is to be trained, each once, in the order given.

    Raises:
        UsageError: weights, which cannot be trained, or a method without variants of a paper.
    """
    chosen: list[tuple[str, str | None]] = []
    for text in filter(None, (part.strip() for part in methods.split(","))):
        name, variant, weights = split_method(text)
        if weights:
            raise UsageError(
                f"{text!r}: train takes METHOD[:VARIANT]. To begin with these weights, give --start-from {weights}."
            )
        chosen += [(name, each) for each in (_of_the_paper(name) if variant == EVERY else [variant])]
    if not chosen:
        raise UsageError("no method to train: name one as METHOD or METHOD:VARIANT, see 'deblurbench list methods'")
    return list(dict.fromkeys(chosen))


def _usual_recipe(name: str, variant: str | None) -> str:
    card = find_method(name).card
    assert isinstance(card, MethodCard)
    return card.variants[card.known_variant(variant)].recipe


def _of_the_paper(name: str) -> list[str]:
    card = find_method(name).card
    assert isinstance(card, MethodCard)
    if names := [name for name, variant in card.variants.items() if variant.of_the_paper]:
        return names
    raise UsageError(f"{name!r} has no variant of its paper; name one of {', '.join(card.variants)}")


def _first_process() -> bool:
    """Of the processes that torchrun started, one tells what is done."""
    return os.environ.get("RANK", "0") == "0"


@click.command()
@click.argument("training", type=click.Path(path_type=Path))
@click.option(
    "--tag", default="ours", show_default=True, callback=fit_tag, help="How the card will call these weights."
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="The file to write; by default TRAINING/VARIANT-TAG.safetensors."
)
@click.option("--half/--full", default=True, show_default=True, help="Half precision.")
def export(training: Path, tag: str, output: Path | None, half: bool) -> None:
    """Write a training's best weights as safetensors, and print their entry for the card."""
    import yaml

    from deblurbench.methods.weights.files import read_story
    from deblurbench.provenance import file_sha256

    if not training.is_dir():
        raise UsageError(f"{training}: no such folder. Name the folder of a training, as 'deblurbench train' told it.")
    source, story = training / "weights.safetensors", training / "training.json"
    if not source.is_file() or not story.is_file():
        raise MissingError(f"{training}: no finished training here (weights.safetensors and training.json are needed)")
    record = read_story(training)
    if record.get("sha256") not in (None, file_sha256(source)):
        raise UsageError(
            f"{story} tells of other weights than {source.name} (sha256): the training was cut off between the two. "
            "Go on with it (--resume), which writes both."
        )
    target = output or training / f"{folder_name(record['variant'])}-{tag}.safetensors"
    if target.suffix != ".safetensors" or target.resolve() == source.resolve():
        raise UsageError(
            f"--output {target}: name another .safetensors file than the training's own, which --resume goes on from."
        )
    _copy(source, target, half)
    click.echo(
        yaml.safe_dump([card_entry(record, tag, target, file_sha256(target))], sort_keys=False, width=110).rstrip()
    )
    say(f"wrote {target} ({target.stat().st_size / 1e6:.1f} MB)")


def _copy(source: Path, target: Path, half: bool) -> None:
    import torch
    from safetensors.torch import load_file, save

    from deblurbench.frames.files import write_atomically

    weights = load_file(source)
    if half:
        weights = {k: v.half() if v.dtype == torch.float32 else v for k, v in weights.items()}
    write_atomically(target, save(weights))


def card_entry(record: dict[str, Any], tag: str, file: Path, sha256: str) -> dict[str, Any]:
    """The entry under `weights:` of the method's card, from what training.json tells."""
    keys = (
        "settings",
        "seed",
        "steps",
        "hours",
        "device",
        "threads",
        "torch",
        "data",
        "commit",
        "started_from",
        "validation",
    )
    return {
        "tag": tag,
        "variant": record["variant"],
        "file": f"weights/{file.name}",
        "sha256": sha256,
        "origin": "ours",
        "trained_on": list(record.get("trained_on", [])),
        "recipe": record["recipe"],
        "training": {key: record[key] for key in keys if record.get(key) not in (None, [])},
    }
