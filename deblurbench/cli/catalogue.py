"""`list`, `show`, `new`, `check`: what there is, what it says, how to add one, whether it keeps the contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from deblurbench.cli import options
from deblurbench.cli.support import completion
from deblurbench.cli.terminal import plugins_print_to_stderr, print_json, print_table, say
from deblurbench.errors import CardError, UsageError
from deblurbench.metrics import METRICS
from deblurbench.registry.by_path import find_method, is_named_by_path, split_method
from deblurbench.registry.cards import DatasetCard, MethodCard
from deblurbench.registry.cite import OURS, bibtex
from deblurbench.registry.discovery import Plugin, Room, plugins, search_folders
from deblurbench.text import did_you_mean

KINDS = ("methods", "datasets", "protocols", "metrics", "reports")
BROKEN = "BROKEN: "
LISTED = 36  # characters of a list of variants or weights in a table on a terminal
ROOMS: tuple[Room, ...] = ("methods", "datasets", "reports", "metrics")


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS), required=False)
@options.as_json
def list_plugins(kind: str | None, as_json: bool) -> None:
    """List methods, datasets, protocols, metrics or reports (all of them for none named)."""
    tables = {name: _table(name) for name in ([kind] if kind else KINDS)}
    if as_json:
        whole = {name: [dict(zip(head, row, strict=True)) for row in rows] for name, (head, rows) in tables.items()}
        for row in whole.get("methods", []):
            row |= _method_details(plugins("methods")[str(row["method"])])
        for row in whole.get("datasets", []):
            card = plugins("datasets")[str(row["dataset"])].card
            if isinstance(card, DatasetCard):
                row["protocols"] = [protocol.name for protocol in card.protocols]
        print_json(whole[kind] if kind else whole)
    for name, (head, rows) in tables.items():
        faults = {str(row[0]): str(row[-1]) for row in rows if str(row[-1]).startswith(BROKEN)}
        if not as_json:
            if not kind:
                click.echo(f"\n{name.upper()}")
            print_table(head, [_for_terminal(row) for row in rows])
            for each, fault in faults.items():
                say(f"! {each}: {fault.removeprefix(BROKEN)}")


def _for_terminal(row: tuple[object, ...]) -> tuple[object, ...]:
    """A row without what makes the table too wide: long lists, and all that is wrong with a broken card."""
    if str(row[-1]).startswith(BROKEN):
        return (*row[:-1], f"BROKEN, see 'deblurbench show {row[0]}'")
    return (row[0], *(_first_few(str(cell)) for cell in row[1:-1]), row[-1])


def _first_few(listed: str) -> str:
    """The first names of a list with commas, as many as LISTED characters hold, and how many there are in all."""
    names = listed.split(", ")
    if len(listed) <= LISTED or len(names) < 3:
        return listed
    shown = [name for k, name in enumerate(names) if len(", ".join(names[: k + 1])) <= LISTED]
    return f"{', '.join(shown or names[:1])}, ... ({len(names)})"


def _table(kind: str) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    if kind == "metrics":
        head: tuple[str, ...] = ("id", "unit", "better", "level", "default", "what it is")
        return head, [
            (m.id, m.unit, "higher" if m.higher_is_better else "lower", m.level, "yes" if m.default else "", m.title)
            for m in METRICS.values()
        ] + [_broken(p, len(head)) for p in plugins("metrics").values() if p.card is None]
    if kind == "protocols":
        return ("protocol", "split", "blur", "size", "left out", "summary"), _protocols()
    if kind == "methods":
        return ("method", "variants", "weights", "venue", "title"), [
            _method_row(p) for p in plugins("methods").values()
        ]
    room: Room = "datasets" if kind == "datasets" else "reports"
    head = ("dataset", "title", "protocols") if kind == "datasets" else ("report", "by default", "title")
    return head, [_dataset_row(p) if kind == "datasets" else _report_row(p) for p in plugins(room).values()]


def _broken(plugin: Plugin, columns: int) -> tuple[object, ...]:
    reason = (plugin.error or "").splitlines()
    return (plugin.name, *[""] * (columns - 2), f"{BROKEN}{' '.join(line.strip() for line in reason)}")


def _method_row(plugin: Plugin) -> tuple[object, ...]:
    card = plugin.card
    if not isinstance(card, MethodCard):
        return _broken(plugin, 5)
    weights = ", ".join(f"{w.variant}@{w.tag}" for w in card.weights) or card.without_weights
    variants = ", ".join(card.variants) if len(card.variants) > 1 else ""
    venue = f"{card.venue} {card.year or ''}".strip()
    return card.name, variants, weights, venue, card.title


def _method_details(plugin: Plugin) -> dict[str, object]:
    """What `--json` tells of a method beyond the table: docs/methods.md's columns that the card alone can tell."""
    card = plugin.card
    if not isinstance(card, MethodCard):
        return {}
    return {
        "variants": list(card.variants) if len(card.variants) > 1 else [],
        "weights": [f"{weights.variant}@{weights.tag}" for weights in card.weights],
        "without_weights": card.without_weights,
        "kind": card.kind,
        "kinds": {name: card.kind_of(name) for name in card.variants},
        "year": card.year,
        "authors": card.authors,
        "link": card.url or (f"https://doi.org/{card.doi}" if card.doi else ""),
        "licence": card.licence,
        "parameters": {name: variant.parameter_count for name, variant in card.variants.items()},
        "status": {protocol: status.state for protocol, status in card.status.items()},
        "paper": [number.model_dump(exclude={"note"}) for number in card.paper],
    }


def _dataset_row(plugin: Plugin) -> tuple[object, ...]:
    card = plugin.card
    if not isinstance(card, DatasetCard):
        return _broken(plugin, 3)
    return card.name, card.title, ", ".join(p.name for p in card.protocols)


def _report_row(plugin: Plugin) -> tuple[object, ...]:
    if plugin.card is None:
        return _broken(plugin, 3)
    return plugin.name, "yes" if getattr(plugin.card, "default", False) else "", plugin.card.title


def _protocols() -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for plugin in plugins("datasets").values():
        for protocol in plugin.card.protocols if isinstance(plugin.card, DatasetCard) else ():
            size = f"{protocol.size[0]}x{protocol.size[1]}" if protocol.size else "as found"
            first, last = protocol.leave_out
            left = f"first {first}, last {last}" if first or last else "none"
            rows.append((protocol.name, protocol.split, protocol.blur, size, left, protocol.summary))
    return rows


@click.command()
@click.argument("name", shell_complete=completion.everything)
@click.option("--as-config", is_flag=True, help="Of a run's folder: the file by which 'run' repeats it.")
@options.as_json
def show(name: str, as_config: bool, as_json: bool) -> None:
    """Show the card of a method, dataset, report, protocol or metric, or what the run in a folder asked for."""
    if as_config or (Path(name) / "run.json").is_file():
        _print_config(Path(name), as_json)
        return
    known: dict[str, object] = {}
    reference, variant, _ = split_method(name)
    if reference not in plugins("methods") and is_named_by_path(reference):
        card = find_method(reference).card
        assert isinstance(card, MethodCard)
        known |= {reference: card} | {f"{reference}:{v}": value for v, value in card.variants.items()}
        name = f"{reference}:{variant}" if variant else reference
    for room in ROOMS:
        for plugin in plugins(room).values():
            known[plugin.name] = plugin.card or plugin.error
            if isinstance(plugin.card, DatasetCard):
                known |= {p.name: p for p in plugin.card.protocols if p.name not in known}
            if isinstance(plugin.card, MethodCard):
                known |= {f"{plugin.name}:{v}": value for v, value in plugin.card.variants.items()}
    known |= dict(METRICS.built_in)
    if name not in known:
        raise UsageError(f"nothing is called {name!r}. {did_you_mean(name, known)}")
    _print_card(name, known[name], as_json)


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=completion.everything)
def cite(names: tuple[str, ...]) -> None:
    """Print BibTeX of the papers behind methods and datasets; without a name, the entry of deblurbench itself."""
    known = {plugin.name: plugin.card for room in ("datasets", "methods") for plugin in plugins(room).values()}
    cards = {}
    for name in names:
        base = name.partition("@")[0].partition(":")[0]  # a variant's and a protocol's paper is the card's
        card = known.get(base)
        if card is None:
            raise UsageError(f"no method or dataset is called {name!r}. {did_you_mean(base, known)}")
        cards[base] = card
    click.echo("\n\n".join([bibtex(card) for card in cards.values()] or [OURS]))


def _print_config(folder: Path, as_json: bool) -> None:
    import yaml

    from deblurbench.cli.support.run_file import as_config
    from deblurbench.results.run import Run

    config = as_config(Run.open(folder).manifest.request)
    click.echo(json.dumps(config, indent=2) if as_json else yaml.safe_dump(config, sort_keys=False).rstrip())


def _print_card(name: str, card: object, as_json: bool) -> None:
    import dataclasses

    import yaml
    from pydantic import BaseModel

    if isinstance(card, BaseModel):
        value = card.model_dump(mode="json", exclude_defaults=True)
    elif dataclasses.is_dataclass(card) and not isinstance(card, type):
        value = {f.name: getattr(card, f.name) for f in dataclasses.fields(card) if not f.name.startswith("_")}
        value = {k: v for k, v in value.items() if isinstance(v, str | int | float | bool)}
    else:
        raise UsageError(f"{name!r} is broken: {card}")
    if as_json:
        print_json(value)
    else:
        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110).rstrip())


@click.group()
def new() -> None:
    """Write the beginnings of a plugin."""


@new.command("method")
@click.argument("name")
@click.option("--kind", type=click.Choice(["frame", "window", "recurrent"]), default="frame", show_default=True)
@click.option("--into", type=click.Path(path_type=Path), help="A folder of plugins (its methods/ is used).")
def new_method(name: str, kind: str, into: Path | None) -> None:
    """Write methods/NAME with a card, a method that runs, and what to do next."""
    from deblurbench.registry.scaffold import write_method

    folder = write_method(name, kind, into)
    named = name if folder.parent.resolve() in search_folders("methods") else folder
    say(f"wrote {folder}/card.yaml and method.py. Next:\n  deblurbench check {named}\n"
        f"  deblurbench run --methods {named} --dataset mini --limit 1")  # fmt: skip


def _into(function: Callable[..., Any]) -> Callable[..., Any]:
    """The name of a new plugin, and the folder of plugins that it is written into."""
    into = click.option("--into", type=click.Path(path_type=Path), help="A folder of plugins.")
    return click.argument("name")(into(function))


@new.command("metric")
@_into
def new_metric(name: str, into: Path | None) -> None:
    """Write metrics/NAME: a card and a function of two frames."""
    _say_written("metrics", name, into, ["deblurbench check {name}",
                 "deblurbench run --methods unsharp --dataset mini --limit 1 --metrics psnr,{name}"])  # fmt: skip


@new.command("dataset")
@_into
def new_dataset(name: str, into: Path | None) -> None:
    """Write datasets/NAME: a card with a protocol and a class that lists clips."""
    _say_written("datasets", name, into, ["deblurbench data info {name} --data-root FOLDER",
                 "deblurbench run --methods unsharp --dataset {name} --data-root FOLDER"])  # fmt: skip


@new.command("report")
@_into
def new_report(name: str, into: Path | None) -> None:
    """Write reports/NAME: a card and a class that writes files from stored runs."""
    _say_written("reports", name, into, ["deblurbench report RUN --kind {name}"])


def _say_written(room: Room, name: str, into: Path | None, next_commands: list[str]) -> None:
    from deblurbench.registry.scaffold import write_plugin

    folder = write_plugin(room, name, into)
    lines = [f"wrote {folder}. Next:", *[f"  {command.format(name=name)}" for command in next_commands]]
    if folder.parent.resolve() not in search_folders(room):
        lines.insert(1, f"  export DEBLURBENCH_PLUGINS={folder.parent.parent.resolve()}")
    say("\n".join(lines))


@click.command()
@click.argument("name", shell_complete=completion.methods)
@options.as_json
def check(name: str, as_json: bool) -> int:
    """Run the contract tests on a method or a metric, or on 'all' methods (one line each)."""
    names = sorted(plugins("methods")) if name == "all" else [name]
    width = max(map(len, names))
    rows: list[tuple[str, str, str, str]] = []
    for each in names:
        with plugins_print_to_stderr():
            findings = _checked(each, forgiving=name == "all")
        rows += [(each, *finding) for finding in findings]
        if name == "all" and not as_json:
            click.echo(f"{each.ljust(width)}  {_summary(findings)}")
    if name != "all" or as_json:
        print_table(("method", "check", "result", "detail"), rows, as_json)
    return 1 if any(row[2] == "FAILED" for row in rows) else 0


def _checked(each: str, forgiving: bool) -> list[tuple[str, str, str]]:
    """The findings on one method; a broken card is one of them where others are to be checked after it."""
    from deblurbench.checks.method import check_method
    from deblurbench.checks.metric import check_metric

    if each in METRICS and each not in plugins("methods"):
        return check_metric(each)
    try:
        return check_method(*split_method(each))
    except CardError as error:
        if not forgiving:
            raise
        return [("card and import", "FAILED", str(error).splitlines()[0])]


def _summary(findings: list[tuple[str, str, str]]) -> str:
    """One line: how many checks passed and were skipped, and each that failed with what was found."""
    counts = {result: sum(outcome == result for _, outcome, _ in findings) for result in ("ok", "skipped")}
    failed = [
        f"{check}: {detail.splitlines()[0] if detail else ''}"
        for check, result, detail in findings
        if result == "FAILED"
    ]
    line = f"{'FAILED' if failed else 'ok':6}  {counts['ok']} passed, {counts['skipped']} skipped"
    return "; ".join([line, *failed])
