"""`python -m deblurbench.training METHOD[:VARIANT] ...`: the loop without the rest of the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from deblurbench.errors import DeblurbenchError
from deblurbench.training.loop import train
from deblurbench.training.recipe import TrainRequest


@click.command()
@click.argument("method")
@click.option("--dataset", required=True, help="NAME[:PROTOCOL]")
@click.option("--data-root", "roots", multiple=True, type=click.Path(path_type=Path))
@click.option("--recipe", default="quick", show_default=True)
@click.option("--output", required=True, type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, help="key=value of the recipe")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--threads", type=int, help="CPU threads")
@click.option("--minutes", type=float, help="time budget; the schedule is fitted to it")
@click.option("--limit-steps", type=int)
@click.option("--start-from", type=click.Path(path_type=Path), help="weights to begin with")
@click.option("--resume", is_flag=True)
def main(method: str, dataset: str, roots: tuple[Path, ...], **options: Any) -> None:
    """Train METHOD[:VARIANT]."""
    name, _, variant = method.partition(":")
    data, _, protocol = dataset.partition(":")
    request = TrainRequest(
        method=name, variant=variant or None, dataset=data, protocol=protocol or None, roots=roots, **options
    )
    try:
        print(train(request))
    except DeblurbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
