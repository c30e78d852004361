"""`deblurbench run`: restore, score, report; and `merge` for what was run in shards."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from deblurbench.api import default_folder
from deblurbench.cli import options
from deblurbench.cli.options import interrupted, names
from deblurbench.cli.support import completion
from deblurbench.cli.support.output import print_results, shown, shown_options, write_reports
from deblurbench.datasets.base import absolute_roots
from deblurbench.errors import INTERRUPTED, UsageError
from deblurbench.evaluation.plan import Plan, left_out, make_plan
from deblurbench.registry.by_path import absolute
from deblurbench.reports.base import Options
from deblurbench.results.manifest import Request


def request_options(function: Any) -> Any:
    """The options of `run` that make up the request."""
    given = [
        click.option(
            "--methods", shell_complete=completion.methods,
            help="name[:variant][@weights],... (a path for a name: see docs/outside.md), or 'all'.",
        ),
        options.run_dataset, options.split, options.clips, options.partial, options.data_root, options.devices,
        options.precision, options.tile, options.limit, options.frames_per_clip, options.save_frames, options.metrics,
        click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True),
        click.option("--shard", metavar="I/N", help="Only every N-th clip from the I-th on; see 'deblurbench merge'."),
        click.option("--random-weights", is_flag=True, help="Run methods without weights untrained, marked as such."),
    ]  # fmt: skip
    for option in reversed(given):
        function = option(function)
    return function


@click.command()
@click.argument("file", required=False, metavar="[FILE.yaml]", type=click.Path(path_type=Path))
@request_options
@options.output
@options.fresh
@click.option("--in-process", is_flag=True, help="No worker processes: for debugging a method.")
@options.jobs
@options.cluster
@options.patience
@click.option("--dry-run", is_flag=True, help="Say what would run, why, and how long; do nothing.")
@shown_options
@options.as_json
@click.pass_context
def run(context: click.Context, file: Path | None, **given: Any) -> int:
    """Restore a dataset's clips with every method, score them, and write tables and a report.

    What to run stands in options, or in FILE.yaml, which may name several datasets (docs/run-file.md); options given
    beside a file win.
    """
    if file is not None and not file.is_file() and file.suffix not in (".yaml", ".yml"):
        raise click.UsageError(f"Got unexpected extra argument ({file})", context)  # as of a list without commas
    if file is not None:
        typed = {k: v for k, v in given.items() if context.get_parameter_source(k) is ParameterSource.COMMANDLINE}
        return _run_file(file, given, typed)
    for option in ("methods", "dataset"):
        if given[option] is None:
            raise click.MissingParameter(param_hint=f"'--{option}'", param_type="option")
    request = make_request(**{key: given[key] for key in Request.model_fields if key in given})
    return _run_plan(make_plan(request), given["output"] or default_folder(request), given)


def _run_file(path: Path, given: Mapping[str, Any], typed: Mapping[str, Any]) -> int:
    """Run what a file asks for, dataset by dataset; the largest exit code. `typed` are the options that win over it."""
    from deblurbench.cli.support import run_file

    file = run_file.read_run_file(path)
    plans = [make_plan(request) for request in run_file.requests_of(file, _parsed(typed))]  # all, before the first runs
    output = typed.get("output") or (Path(file.output) if file.output else None)
    values = {**given, **file.engine.model_dump(), **file.report.model_dump(), **typed}
    codes = []
    for plan in plans:
        folder = run_file.folder_of(plan.request, output, len(plans) > 1) or default_folder(plan.request)
        codes.append(_run_plan(plan, folder, values))
        if codes[-1] == INTERRUPTED:
            break
    return max(codes)


def _run_plan(plan: Plan, folder: Path, given: Mapping[str, Any]) -> int:
    """Run a plan as the options say, or print what would be run."""
    if not given["cluster"]:
        check_device(plan.request.device)
    if given["dry_run"]:
        from deblurbench.cli.support.dryrun import print_dry_run

        code = print_dry_run(plan, folder, given["fresh"], given["as_json"])
        say_left_out(plan.request.methods)
        return code
    how = {key: given[key] for key in ("fresh", "in_process", "jobs", "cluster", "timeout")}
    return execute(plan, folder, how, given["as_json"], shown(given["gallery"], given["budget"]))


def make_request(**asked: Any) -> Request:
    """The command line's words as a Request; relative paths are made absolute."""
    return Request(**_parsed(asked))


def _parsed(asked: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(asked)
    for key in {"methods", "clips", "metrics"} & values.keys():
        values[key] = names(values[key], f"--{key}")
    if "methods" in values:
        values["methods"] = [absolute(text) for text in values["methods"] or ()]
    if "data_root" in values:
        values["data_root"] = absolute_roots(values["data_root"])
    return values


def check_device(device: str) -> None:
    """See that the devices named by the user are there, before work begins; the usual ones cost no import of torch.

    Raises:
        UsageError: no such device, or several that are not different GPUs.
    """
    from deblurbench.backends.device import resolve_device

    names = device.split(",")
    if len(names) > 1:
        gpus = [name for name in names if name.startswith("cuda:")]
        if len(set(gpus)) < len(names):
            raise UsageError(f"--device {device!r}: several devices are different GPUs, such as cuda:0,cuda:1.")
    for name in names:
        if name not in ("auto", "cpu"):
            resolve_device(name)


def execute(plan: Plan, folder: Path, how: Mapping[str, Any], as_json: bool, shown_parts: Options) -> int:
    """Run a plan, write the default reports, print the table; exit code 1 where something failed.

    `how` are the arguments of `runner.run` by which it is worked off.
    """
    from deblurbench.cli import terminal
    from deblurbench.evaluation import runner

    if not how.get("cluster"):
        check_device(plan.request.device)
    try:
        with terminal.ProgressBars() as bars, terminal.plugins_print_to_stderr():
            command = shlex.join(["deblurbench", *sys.argv[1:]])
            result = runner.run(plan, folder, command=command, listener=bars, **how)
        files = write_reports([result.folder], result.folder / "report", options=shown_parts)
        print_results([result.folder], as_json)
    except KeyboardInterrupt:
        return interrupted(folder)
    say_left_out(plan.request.methods)
    terminal.say("")
    for file in files:
        terminal.say(f"  {file}")
    terminal.say(f"  {result.folder / 'scores.csv'}")
    return 1 if result.failed else 0


def say_left_out(methods: Sequence[str]) -> None:
    """Tell which methods `all` did not run, and what each of them wants first."""
    from deblurbench.cli.terminal import say, text_table

    if reasons := left_out(methods):
        say("\nnot run:\n" + text_table(("method", "why"), list(reasons.items())))


@click.command()
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder of the merged run; a new one.")
def merge(shards: tuple[Path, ...], output: Path) -> None:
    """Join the runs of all shards of one request into one run; the shards stay as they are."""
    from deblurbench.cli.terminal import say
    from deblurbench.results.merge import merge as merge_runs

    manifest = merge_runs(shards, output, shlex.join(["deblurbench", *sys.argv[1:]]))
    say(f"{output}: {manifest.coverage}. Its report: deblurbench report {shlex.quote(str(output))}")
