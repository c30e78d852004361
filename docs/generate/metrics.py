"""Write docs/metrics.md: `python -m docs.generate.metrics [FILE]`.

The prose is `explained.py`, the facts are the METRICS table, and the figures of the real clip are read from
tests/golden/real_clip.json, which `python -m tests.golden.generate real DATA TRUNKS` measures.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from deblurbench.metrics import METRICS, Metric
from docs.generate.metrics_prose import EXPLAINED

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "tests" / "golden" / "real_clip.json"

_HEAD = """# Metrics

<!-- Written by `python -m docs.generate.metrics`; edit docs/generate/metrics_prose.py instead. -->

Every metric sees the 8-bit RGB frames that would be written to disk, so anyone can score a folder of PNGs and get the
same numbers. Nothing is converted, cropped or resized: frames of another type, shape or size are an error. Each metric
is held to another implementation, its twin, by tests on at least six kinds of frames (tests/golden).
`deblurbench list metrics` prints this table.

{table}

`--metrics a,b` chooses; without it the ones marked *default* are computed.
"""

_REAL = """## On real frames

The blurry input (`identity`) of {clip}, {frames} frames {first} to {last}, mean over frames; the twin's mean on the
same files, and the largest difference on any frame. `n` is the number of frames scored, fewer where the twin is slow;
metrics of whole clips are shown the first five.

| metric | deblurbench | twin | largest difference | n |
|---|---:|---:|---:|---:|
{rows}
"""


def page() -> str:
    """The whole document as Markdown."""
    parts = [_HEAD.format(table=_table()), _real_clip(), *(_section(entry) for entry in METRICS.values())]
    return "\n".join(part for part in parts if part)


def _table() -> str:
    lines = ["| id | title | unit | better | best | per | |", "|---|---|---|---|---:|---|---|"]
    for m in METRICS.values():
        better = "higher" if m.higher_is_better else "lower"
        best = "" if math.isnan(m.best) else f"{m.best:g}"
        lines.append(
            f"| [`{m.id}`](#{m.id}) | {m.title} | {m.unit or '-'} | {better} | {best} | {m.level} | "
            f"{'default' if m.default else ''} |"
        )
    return "\n".join(lines)


def _section(m: Metric) -> str:
    told = EXPLAINED[m.id]
    return (
        f"## {m.id}\n\n**{m.title}**, version {m.version}. {told.what}\n\n"
        f"    {told.formula}\n\n"
        f"*Traps.* {told.traps}\n\n*Twin.* {m.twin}.\n\n*Source.* {m.citation}.\n"
    )


def _real_clip() -> str:
    if not MEASURED.is_file():
        return ""
    measured: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    rows = [
        f"| `{id}` | {row['ours']:.{METRICS[id].decimals + 2}f} | {row['twin']:.{METRICS[id].decimals + 2}f} | "
        f"{row['difference']:.0e} | {row['frames']} |"
        for id, row in measured["metrics"].items()
        if id in METRICS
    ]
    return _REAL.format(**{k: measured[k] for k in ("clip", "frames", "first", "last")}, rows="\n".join(rows))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "metrics.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(), encoding="utf-8")
