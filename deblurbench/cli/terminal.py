"""Plain text for terminals: aligned tables on standard output, progress bars on standard error."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deblurbench.cli.support.console import shows
from deblurbench.evaluation.progress import Listener
from deblurbench.text import counted, printable

EVERY = 30.0
"""Seconds between lines of progress where there is no terminal."""

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from deblurbench.results.manifest import Outcome


def text_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns aligned by blanks, two between them; nothing is cut off."""
    cells = [list(head), *[["" if cell is None else printable(str(cell)) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]], as_json: bool = False) -> None:
    """Print rows as a table, or as a JSON list of objects."""
    if as_json:
        print_json([dict(zip(head, row, strict=True)) for row in rows])
    else:
        print(text_table(head, rows))


@contextlib.contextmanager
def plugins_print_to_stderr() -> Iterator[None]:
    """Whatever is printed meanwhile, by Python or by a library below it, goes to standard error."""
    kept = None
    with contextlib.suppress(OSError):  # standard output was closed: there is nothing to keep apart
        kept = os.dup(1)
        os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # escapes keep every character, which a substitute sign would not
        text = json.dumps(value, indent=2, default=str)
    print(text)


def console(**options: Any) -> Console:
    """A rich console that escapes control characters in what it is given to print."""
    from rich.console import Console
    from rich.segment import Segment

    class Escaping(Console):
        def render(self, renderable: Any, options: Any = None) -> Any:
            for segment in super().render(renderable, options):
                if segment.control:
                    yield segment
                else:
                    yield Segment(printable(segment.text), segment.style)

    return Escaping(**options)


def say(text: str, always: bool = False) -> None:
    """Print a line for people on standard error. With --quiet only warnings, which begin with `!`."""
    if not (always or shows(logging.INFO) or text.lstrip().startswith("!")):
        return
    print(printable(text), file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """A time to wait, in the unit that a reader thinks in: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class ReportProgress:
    """How far a report is, on standard error: a line that is overwritten; without a terminal one line a kind."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty() and shows(logging.INFO)
        self.told = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` pieces of `what` are made."""
        if self.live and total:
            end = "\r\x1b[K" if done == total else ""
            print(f"\r  {what} {done} of {total}{end}", end="", file=sys.stderr, flush=True)
        elif total and what != self.told:
            self.told = what
            say(f"  {what}: {total} to make")


@dataclass
class Clip:
    """A clip under way: its bar, when it began (seconds on the monotonic clock), and frames restored so far."""

    task: TaskID
    began: float
    count: int = 0


class ProgressBars(Listener):
    """Shows method, clip, frames, frames a second and the time left. Where there is no terminal, a line a clip."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = console(stderr=True)
        self.live = self.console.is_terminal and shows(logging.INFO)
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=self.console, transient=True,
        )  # fmt: skip
        self.total = self.progress.add_task("all", total=0, rate="")
        self.clips: dict[tuple[str, str], Clip] = {}
        self.started = self.spoken = time.monotonic()
        self.done = self.frames = 0

    def __enter__(self) -> ProgressBars:
        """Start drawing."""
        if self.live:
            self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing."""
        if self.live:
            self.progress.stop()

    def begin(self, total: int, cached: int) -> None:
        """Set the whole length."""
        self.progress.update(self.total, total=total)
        self.frames, self.started = total, time.monotonic()
        if cached:
            self.say(f"{counted(cached, 'frame')} {'is' if cached == 1 else 'are'} there already")

    def clip(self, method: str, clip: str, frames: int) -> None:
        """Begin a clip; several may be under way at once."""
        self._end(method, clip)
        task = self.progress.add_task(f"{method}  {clip}", total=frames, rate="starting")
        self.clips[method, clip] = Clip(task, time.monotonic())

    def frame(self, method: str, clip: str, stem: str) -> None:
        """Advance by a frame."""
        at = self.clips[method, clip]
        at.count += 1
        rate = at.count / max(time.monotonic() - at.began, 1e-9)
        self.progress.update(at.task, advance=1, rate=f"{rate:.2f} fps")
        self.progress.update(self.total, advance=1)
        self.done += 1
        now = time.monotonic()
        if not self.live and now - self.spoken >= EVERY:
            self.spoken = now
            left = (now - self.started) / self.done * (self.frames - self.done)
            self.say(f"{method}  {clip}: {self.done} of {counted(self.frames, 'frame')}, about {duration(left)} left")

    def outcome(self, outcome: Outcome) -> None:
        """Say how a clip ended: failures always, successes where no bar is drawn."""
        at = self._end(outcome.method, outcome.clip)
        if outcome.status == "failed":
            reason = outcome.reason.partition("\n")[0]
            cause = reason if reason.startswith(outcome.kind) else f"{outcome.kind}: {reason}"
            self._print(f"FAILED  {outcome.method}  {outcome.clip}: {cause}")
            if shows(logging.DEBUG) and outcome.traceback:
                self._print(outcome.traceback.rstrip())
        elif not self.live and at:
            seconds = time.monotonic() - at.began
            self.say(f"done    {outcome.method}  {outcome.clip}  ({counted(at.count, 'frame')} in {seconds:.1f} s)")

    def _end(self, method: str, clip: str) -> Clip | None:
        """Take a clip's bar away, if it has one."""
        at = self.clips.pop((method, clip), None)
        if at:
            self.progress.remove_task(at.task)
        return at

    def say(self, text: str) -> None:
        """Print a line above the bars, but not with --quiet."""
        if shows(logging.INFO):
            self._print(text)

    def _print(self, text: str) -> None:
        self.console.print(printable(text), highlight=False, markup=False, soft_wrap=True)
