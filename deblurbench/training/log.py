"""The run's log: JSON lines in a file, TensorBoard's events where it is installed, now and then a line on stderr."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deblurbench.errors import DiskError
from deblurbench.frames.files import write_atomically

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

messages = logging.getLogger("deblurbench.training")
FILE = "log.jsonl"
EVENTS = "tensorboard"


class Log:
    """Appends records to log.jsonl; with `first`, records after that step are dropped first (they are made again).

    So are validations where that part of the run ended between two of every `every` steps: a run that does not stop
    there has none.

    Where the package `tensorboard` is installed (`pip install 'deblurbench[tensorboard]'`), the same numbers go into
    the folder tensorboard/ beside it. Without it, nothing is missing but that.
    """

    def __init__(self, path: Path, *, first: int = 0, every: int = 1, quiet: bool = False, active: bool = True) -> None:
        self.path, self.quiet, self.active = path, quiet, active
        self._events: SummaryWriter | None = None
        if active:
            path.parent.mkdir(parents=True, exist_ok=True)
            _keep_before(path, first, every)
            self._events = _events(path.parent / EVENTS, first)

    def write(self, **record: Any) -> None:
        """Append one record, and tell it on stderr.

        Raises:
            DiskError: no space or no permission.
        """
        if not self.active:
            return
        plain = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in record.items()}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(plain) + "\n")
        except OSError as error:
            raise DiskError(f"{self.path}: cannot be written ({error.strerror}). Free some space; --resume.") from error
        if self._events:
            group = "validation" if "psnr" in plain else "training"
            for key in plain.keys() - {"step", "frames"}:
                self._events.add_scalar(f"{group}/{key}", plain[key], plain["step"])
        if not self.quiet:
            messages.info("%s", "  ".join(f"{k} {v}" for k, v in plain.items()))

    def close(self) -> None:
        """Flush what TensorBoard's writer holds back."""
        if self._events:
            self._events.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole records of a log; a last line that was cut short is passed over."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def _events(folder: Path, first: int) -> SummaryWriter | None:
    """TensorBoard's writer, which hides what an earlier part of the run wrote after step `first`."""
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=first + 1 if first else None)  # type: ignore[no-untyped-call]


def _keep_before(path: Path, first: int, every: int) -> None:
    there = read_log(path) if path.exists() and first else []
    kept = [r for r in there if r.get("step", 0) <= first and not ("psnr" in r and r.get("step", 0) % every)]
    write_atomically(path, "".join(json.dumps(r) + "\n" for r in kept).encode())
