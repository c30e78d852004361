"""The command line: a thin shell. Commands are imported when they are called; torch only when one needs it."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any, NoReturn

import click

from deblurbench import __version__
from deblurbench.errors import INTERRUPTED, DeblurbenchError, plain_warnings
from deblurbench.text import did_you_mean

COMMANDS = {
    "run": "run:run",
    "train": "train:train",
    "export": "train:export",
    "import-weights": "import_weights:import_weights",
    "list": "catalogue:list_plugins",
    "show": "catalogue:show",
    "check": "catalogue:check",
    "new": "catalogue:new",
    "data": "data:data",
    "score": "score:score",
    "report": "reporting:report",
    "figure": "figure:figure",
    "compare": "compare:compare",
    "bench": "bench:bench",
    "reproduce": "reproduce:reproduce",
    "verify": "verify:verify",
    "invalidate": "verify:invalidate",
    "restore": "restore:restore",
    "env": "env:env",
}


class LazyGroup(click.Group):
    """A group whose commands lie in `deblurbench.cli` and are imported when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the manual."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(f"deblurbench.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. A reader that has seen enough of our output (`| head`) is no failure."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return code

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


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code.

    0 ok; 1 a method or clip failed, the rest is there; 2 usage; 3 data or weights missing; 4 a difference was found;
    130 interrupted.
    """
    signal.signal(signal.SIGTERM, _as_interrupt)
    plain_warnings()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main(args=words, prog_name="deblurbench", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.exceptions.Abort, KeyboardInterrupt):
        _say("\ninterrupted")
        code = INTERRUPTED
    except DeblurbenchError as error:
        _say(f"deblurbench: {error}")
        code = error.exit_code
    except OSError as error:  # a folder that may not be read, a disk that is gone: for the user to mend
        _say(f"deblurbench: {error.filename or ''}: {error.strerror or error}. Mend this and try again.")
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _as_interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(text, file=sys.stderr)
