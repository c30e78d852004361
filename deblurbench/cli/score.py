"""`deblurbench score DIR`: scores of frames that somebody else restored."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from deblurbench.cli import options
from deblurbench.cli.options import interrupted
from deblurbench.results.manifest import Request
from deblurbench.results.store import folder_name, in_runs


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@options.dataset
@options.data_root
@options.split
@options.clips
@options.partial
@options.metrics
@options.device
@options.save_frames
@click.option("--name", help="The method's name in tables; the folder's name by default.")
@options.output
@options.fresh
@options.as_json
def score(folder: Path, name: str | None, output: Path | None, fresh: bool, as_json: bool, **asked: Any) -> int:
    """Score frames that somebody else restored: DIR/<clip>/<frame>.png, one video a clip, or a video as DIR.

    Names must be the protocol's own; what does not match is an error. The result is a run like any other.
    """
    from deblurbench.cli.support.output import print_results, write_reports
    from deblurbench.cli.terminal import ProgressBars, say
    from deblurbench.evaluation import submission

    given = submission.prepare(folder, _request(**asked), name)
    for line in [clip.line() for clip in given.match.clips] + given.match.notes:
        say(line)
    place = output or in_runs(f"{folder_name(asked['dataset'])}-{folder_name(given.name)}")
    command = shlex.join(["deblurbench", *sys.argv[1:]])
    try:
        with ProgressBars() as bars:
            result = submission.score(given, place, command=command, fresh=fresh, listener=bars)
        files = write_reports([place], place / "report")
        print_results([place], as_json)
    except KeyboardInterrupt:
        return interrupted(place)
    for file in [*files, place / "scores.csv"]:
        say(f"  {file}")
    return 1 if result.failed else 0


def _request(**asked: Any) -> Request:
    from deblurbench.cli.options import names
    from deblurbench.datasets.base import absolute_roots

    return Request(
        **{
            **asked,
            "methods": [],
            "clips": names(asked["clips"], "--clips"),
            "metrics": names(asked["metrics"], "--metrics"),
            "data_root": absolute_roots(asked["data_root"]),
        }
    )
