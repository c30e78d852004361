"""`deblurbench score DIR`: scores of frames that somebody else restored."""

from __future__ import annotations

import datetime
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from deblurbench.cli.options import interrupted
from deblurbench.results.manifest import Request
from deblurbench.results.store import folder_name


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, help="NAME[:PROTOCOL], see 'deblurbench list protocols'.")
@click.option("--data-root", help="The dataset's folder, or the one that holds it (or DEBLURBENCH_DATA).")
@click.option("--split", help="Another split than the protocol's; the run is then partial.")
@click.option("--clips", help="Only these clips, comma-separated.")
@click.option("--partial", is_flag=True, help="Accept an incomplete copy of the data; tables say so.")
@click.option("--metrics", help="Metric ids, comma-separated; see 'deblurbench list metrics'.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda:N, for the metrics that use it.")
@click.option("--save-frames", type=click.Choice(["none", "sample", "all"]), default="sample", show_default=True)
@click.option("--name", help="The method's name in tables; the folder's name by default.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--fresh", is_flag=True, help="Start over in --output.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def score(folder: Path, name: str | None, output: Path | None, fresh: bool, as_json: bool, **asked: Any) -> int:
    """Score frames that somebody else restored: DIR/<clip>/<frame>.png, one video a clip, or a video as DIR.

    Names must be the protocol's own; what does not match is an error. The result is a run like any other.
    """
    from deblurbench.cli.reporting import print_results, write_reports
    from deblurbench.cli.terminal import ProgressBars, say
    from deblurbench.evaluation import submission

    given = submission.prepare(folder, _request(**asked), name)
    for line in [clip.line() for clip in given.match.clips] + given.match.notes:
        say(line)
    place = (
        output or Path("runs") / f"{datetime.date.today()}-{folder_name(asked['dataset'])}-{folder_name(given.name)}"
    )
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
