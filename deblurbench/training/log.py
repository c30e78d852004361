"""The run's log: JSON lines in a file, and a line now and then on stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


class Log:
    """Appends records to log.jsonl; with `first`, records from that step on are dropped first (they are made again)."""

    def __init__(self, path: Path, *, first: int = 0, quiet: bool = False, active: bool = True) -> None:
        self.path, self.quiet, self.active = path, quiet, active
        if active:
            path.parent.mkdir(parents=True, exist_ok=True)
            _keep_before(path, first)

    def write(self, **record: Any) -> None:
        """Append one record, and tell it on stderr."""
        if not self.active:
            return
        plain = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in record.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain) + "\n")
        if not self.quiet:
            print("  ".join(f"{k} {v}" for k, v in plain.items()), file=sys.stderr, flush=True)


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole records of a log; a last line that was cut short is passed over."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def _keep_before(path: Path, first: int) -> None:
    kept = [r for r in read_log(path) if r.get("step", 0) <= first] if path.exists() and first else []
    path.write_text("".join(json.dumps(r) + "\n" for r in kept), encoding="utf-8")
