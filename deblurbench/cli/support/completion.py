"""Shell completion: names of methods, datasets, protocols, metrics and reports for the words of a command line."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class

Items = list[CompletionItem]
PROGRAM = "deblurbench"
SHELLS = ("bash", "zsh", "fish")


def methods(context: click.Context, option: click.Parameter, typed: str) -> Items:
    """`name` and `name:variant`, the last of a list with commas."""
    from deblurbench.registry.cards import MethodCard
    from deblurbench.registry.discovery import plugins

    names = []
    for name, plugin in plugins("methods").items():
        names.append(name)
        if isinstance(plugin.card, MethodCard) and len(plugin.card.variants) > 1:
            names += [f"{name}:{variant}" for variant in plugin.card.variants]
    return _fitting(names, typed)


def protocols(context: click.Context, option: click.Parameter, typed: str) -> Items:
    """Datasets and their protocols."""
    from deblurbench.registry.cards import DatasetCard
    from deblurbench.registry.discovery import plugins

    cards = [plugin.card for plugin in plugins("datasets").values() if isinstance(plugin.card, DatasetCard)]
    return _fitting([name for card in cards for name in (card.name, *(p.name for p in card.protocols))], typed)


def metrics(context: click.Context, option: click.Parameter, typed: str) -> Items:
    """Ids of metrics, the last of a list with commas."""
    from deblurbench.metrics import METRICS

    return _fitting(METRICS, typed)


def everything(context: click.Context, option: click.Parameter, typed: str) -> Items:
    """All that `show` knows."""
    from deblurbench.registry.discovery import plugins

    lists = [each(context, option, typed) for each in (methods, protocols, metrics)]
    return [item for items in lists for item in items] + _fitting(plugins("reports"), typed)


def _fitting(names: Iterable[str], typed: str) -> Items:
    before, comma, last = typed.rpartition(",")
    return [CompletionItem(f"{before}{comma}{name}") for name in dict.fromkeys(names) if name.startswith(last)]


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and names in a shell.

    Install it once: `deblurbench completion bash >> ~/.bashrc`, `... zsh >> ~/.zshrc`, or
    `... fish > ~/.config/fish/completions/deblurbench.fish`.
    """
    from deblurbench.cli.main import cli

    made = get_completion_class(shell)
    assert made is not None
    if shell == "bash":  # which otherwise breaks `name:variant` in two
        click.echo("COMP_WORDBREAKS=${COMP_WORDBREAKS//:}")
    click.echo(made(cli, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
