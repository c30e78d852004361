"""`deblurbench import-weights`: checkpoints of other implementations, converted where the network is the same."""

from __future__ import annotations

from pathlib import Path

import click

from deblurbench.cli.options import fit_tag
from deblurbench.cli.terminal import say
from deblurbench.errors import UsageError
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin
from deblurbench.results.store import folder_name


@click.command("import-weights")
@click.argument("method")
@click.argument("checkpoint", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="By default VARIANT-TAG.safetensors beside FILE.")
@click.option(
    "--tag",
    callback=fit_tag,
    help="How the card will call these weights; by default 'official' or 'public', as they are.",
)
@click.option("--trained-on", multiple=True, metavar="DATASET[/SPLIT]", help="What they were trained on; repeatable.")
def import_weights(
    method: str, checkpoint: Path, output: Path | None, tag: str | None, trained_on: tuple[str, ...]
) -> None:
    """Convert the weights in FILE into those of METHOD[:VARIANT], and print their entry for the card.

    FILE is a PyTorch checkpoint (.pth, .pt, .ckpt; only tensors are opened), a .safetensors file, or a TensorFlow
    checkpoint (PREFIX.index, with its data files beside it; TensorFlow is not needed).
    """
    import yaml

    from deblurbench.methods.weights.convert import card_entry, convert, read_foreign, write

    plugin, variant = _method_and_variant(method)
    foreign = read_foreign(checkpoint)
    fit = convert(plugin, variant, foreign)
    tag = tag or fit.origin
    target = output or checkpoint.with_name(f"{folder_name(variant)}-{tag}.safetensors")
    if target.suffix != ".safetensors" or target.resolve() in [file.resolve() for file in foreign.files]:
        raise UsageError(f"--output {target}: name another file, ending in .safetensors")
    record = {"method": plugin.name, "variant": variant, "trained_on": list(trained_on), "note": fit.note}
    write(target, fit, record)
    entry = card_entry(target, variant, tag, fit, foreign, trained_on)
    click.echo(yaml.safe_dump([entry], sort_keys=False, width=110, allow_unicode=True).rstrip())
    if fit.choice:
        say(str(fit.choice))
    if not trained_on:
        say("nobody said what they were trained on: without --trained-on a run cannot warn of seen frames")
    say(f"wrote {target} ({target.stat().st_size / 1e6:.1f} MB). Try it:")
    say(f"  deblurbench run --methods {plugin.reference}:{variant}@{target} --dataset mini")


def _method_and_variant(text: str) -> tuple[Plugin, str]:
    """The plugin and the variant of METHOD[:VARIANT].

    Raises:
        UsageError: unknown, the nearest name is given; or weights named behind an @.
    """
    from deblurbench.registry.by_path import find_method, split_method

    name, variant, weights = split_method(text)
    if weights:
        raise UsageError(f"{text!r}: name METHOD[:VARIANT] without weights; the file follows as an argument of its own")
    plugin = find_method(name)
    card = plugin.card
    assert isinstance(card, MethodCard)
    return plugin, card.known_variant(variant)
