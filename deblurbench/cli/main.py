"""The command line: a thin shell. Commands are imported when they are called; torch only when one needs it."""

from __future__ import annotations

import importlib
import io
import signal
import sys
import traceback
from typing import Any, NoReturn

import click

from deblurbench import __version__
from deblurbench.cli.support import console
from deblurbench.errors import INTERRUPTED, DeblurbenchError, plain_warnings
from deblurbench.text import did_you_mean, printable

COMMANDS = {
    "run": "run:run",
    "train": "train:train",
    "export": "train:export",
    "import-weights": "import_weights:import_weights",
    "list": "catalogue:list_plugins",
    "show": "catalogue:show",
    "check": "catalogue:check",
    "cite": "catalogue:cite",
    "new": "catalogue:new",
    "data": "data:data",
    "score": "score:score",
    "merge": "run:merge",
    "report": "reporting:report",
    "figure": "figure:figure",
    "compare": "compare:compare",
    "bench": "bench:bench",
    "reproduce": "reproduce:reproduce",
    "verify": "verify:verify",
    "invalidate": "verify:invalidate",
    "restore": "restore:restore",
    "env": "env:env",
    "completion": "support.completion:completion",
}


SUMMARIES = {
    "run": "Restore a dataset's clips with every method, score them, and write tables and a report",
    "train": "Train METHOD[:VARIANT] with a recipe of its card, or several in turn",
    "export": "Write a training's best weights as safetensors, and print their entry for the card",
    "import-weights": "Convert the weights of another implementation, and print their entry for the card",
    "list": "List methods, datasets, protocols, metrics or reports",
    "show": "Show the card of a method, dataset, report, protocol or metric",
    "check": "Run the contract tests on a method or a metric, or on 'all' methods",
    "cite": "Print BibTeX of the papers behind methods and datasets; without a name, of deblurbench",
    "new": "Write the beginnings of a plugin",
    "data": "Look at, verify, prepare and fetch data",
    "score": "Score frames that somebody else restored",
    "merge": "Join the runs of all shards of one request into one run; the shards stay as they are",
    "report": "Build the report of stored runs anew",
    "figure": "Draw a figure of a stored run for a paper",
    "compare": "Show what changed from run A to run B",
    "bench": "Time methods on synthetic frames: median, interval, memory, parameters, multiply-adds",
    "reproduce": "Run the variants of a paper's table that have weights, beside the paper's numbers",
    "verify": "Check that a stored run is what it says",
    "invalidate": "Mark a run as invalid, or valid again, in run.json and in its report",
    "restore": "Restore a video file or a folder of frames with one method",
    "env": "Show versions, processor, source state, and broken plugins",
    "completion": "Print the script that completes commands, options and names in a shell",
}
"""What `--help` says of each command, so that it imports none of them."""
LISTS = ("--methods", "--metrics", "--clips", "--size", "--trained-on")
PRINTERS = ("cli/terminal.py", "cli/main.py", "click/utils.py", "rich/console.py")
"""Where printing ends: an error without a file's name that arises there is about standard output."""


class LazyGroup(click.Group):
    """A group whose commands lie in `deblurbench.cli` and are imported when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the manual."""
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(f"deblurbench.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return _with_verbosity(command)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. A reader that has seen enough of our output (`| head`) is no failure."""
        try:
            code = super().invoke(ctx)
        except BrokenPipeError:
            console.discard_output()
            return 0
        return code if _flushed() else 1

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or say which one is nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}. {did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="deblurbench")
def cli() -> None:
    """Find out which video deblurring method is really better.

    Begin with: deblurbench run --methods ifirnn,srn --dataset mini
    """


def _with_verbosity(command: click.Command) -> click.Command:
    """A command with the options that every command has."""
    below = command.commands.values() if isinstance(command, click.Group) else [command]
    for each in below:
        if not any(option.name == "quiet" for option in each.params):
            each.params += [_switch("quiet", "Print warnings, failures and results only."),
                            _switch("verbose", "Print debug messages, and tracebacks of failures.")]  # fmt: skip
    return command


def _switch(name: str, text: str) -> click.Option:
    def take(context: click.Context, option: click.Parameter, given: bool) -> None:
        if given:
            console.set_verbosity(name)

    return click.Option([f"--{name}"], is_flag=True, expose_value=False, callback=take, help=text)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code.

    0 ok; 1 a method or clip failed, the rest is there; 2 usage; 3 data or weights missing; 4 a difference was found;
    130 interrupted.
    """
    console.prepare()
    console.set_verbosity("normal")
    signal.signal(signal.SIGTERM, _as_interrupt)
    plain_warnings()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main(args=words, prog_name="deblurbench", standalone_mode=False)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        _say(shown.getvalue().rstrip("\n") + _missing_commas(error, words))
        code = 2
    except (click.exceptions.Abort, KeyboardInterrupt):
        _say("\ninterrupted")
        code = INTERRUPTED
    except DeblurbenchError as error:
        _say(f"deblurbench: {error}")
        code = error.exit_code
    except OSError as error:  # a folder that may not be read, a disk that is gone: for the user to mend
        _say(f"deblurbench: {error.filename or _unnamed(error)}: {error.strerror or error}. Mend this and try again.")
        code = 1
    except RuntimeError as error:  # pathlib's, of Python 3.11 and 3.12
        if not str(error).startswith("Symlink loop"):
            raise
        _say(f"deblurbench: {error}: a link that leads back to itself. Name another path, or remove the link.")
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _missing_commas(error: click.ClickException, words: list[str]) -> str:
    """What to write instead, where the words after a list's option look like its other members."""
    if not error.message.startswith("Got unexpected extra argument"):
        return ""
    for place, word in enumerate(words):
        rest = words[place + 1 :]
        count = next((k for k, other in enumerate(rest) if other.startswith("-")), len(rest))
        if word in LISTS and count > 1:
            joined = ",".join(name.strip(",") for name in rest[:count])
            return f"\n{word} takes one list with commas: {word} {joined}"
    return ""


def _flushed() -> bool:
    """Write out what standard output holds; where that fails, say why, since nobody else will."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        console.discard_output()
    except OSError as error:
        console.discard_output()
        _say(f"deblurbench: standard output: {error.strerror or error}. The results were not printed.")
        return False
    return True


def _unnamed(error: OSError) -> str:
    """What an error without a file's name is about: standard output, if it arose while printing, else a file."""
    last = traceback.extract_tb(error.__traceback__)[-1].filename.replace("\\", "/")
    if not last.endswith(PRINTERS):
        return "a file that the system does not name"
    console.discard_output()
    return "standard output"


def _as_interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)
