"""docs/reference.md names the commands, their options and the variables as they are, no more and no fewer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from deblurbench.cli import main
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
ROOMS = ("deblurbench", "datasets", "methods", "reports")
OF_ALL = ["--quiet", "--verbose"]
OF_TESTS = {"DEBLURBENCH_REAL_DATA", "DEBLURBENCH_CHROMIUM"}


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """All commands, those of `data` and `new` by both of their words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, f"{before}{name} ")
        else:
            yield f"{before}{name}", found


def options(command: click.Command) -> list[str]:
    found = [each for each in command.params if isinstance(each, click.Option)]
    names = ["/".join(word for word in (*each.opts, *each.secondary_opts) if word.startswith("--")) for each in found]
    assert names[-2:] == OF_ALL
    return names[:-2]


def test_every_command_and_option_is_on_the_page():
    table = PAGE.partition("## Commands")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    written = {re.match(r"`([a-z -]*[a-z])", name)[1]: re.findall(r"--[a-z/-]+", last) for name, _, last in rows}
    assert written == {name: options(command) for name, command in commands(main.cli)}


def test_options_that_want_a_word_are_of_their_commands():
    table = PAGE.partition("## Options")[2].partition("\n## ")[0]
    known = dict(commands(main.cli))
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) >= 10
    for option, of, _ in rows:
        for name in re.findall(r"`([a-z-]+)`", of):
            assert re.match(r"`(--[a-z-]+)", option)[1] in options(known[name]), (option, name)


def test_every_variable_is_on_the_page():
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    used = {name for file in files for name in re.findall(r"DEBLURBENCH_[A-Z_]+", file.read_text(encoding="utf-8"))}
    assert set(re.findall(r"DEBLURBENCH_[A-Z_]+", PAGE)) == used | OF_TESTS
